//! The four parts, in the order of the flow.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use backpressure::{
    BackpressureConfig, BackpressureController, Counts, DrainReport, Gauge, Receiver, Sender, Strategy, channel,
};
use backpressure_metrics::Registry;
use backpressure_tower::{Batch, BatchLayer};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt, service_fn};

use crate::load::Load;

/// How long it takes to look something up, however much it is.
const LOOKUP: Duration = Duration::from_millis(3);

/// Items that may wait in `enrich`.
const QUEUED: usize = 128;

/// Lookups that it makes at once, and the most items in each.
const LOOKUPS: usize = 4;
const IN_LOOKUP: usize = 32;

/// Items that `parse` has in hand at once: more than `enrich` takes, so that the rest is seen to wait for it.
const CONCURRENCY: usize = QUEUED + LOOKUPS * IN_LOOKUP + 64;

/// Adds a name to an item, and puts it into the database.
type Enrich = Batch<u64, (), anyhow::Error>;

#[derive(Debug)]
pub(crate) struct Pipeline {
    generator: JoinHandle<()>,
    stages: [JoinHandle<()>; 2],
    database: BackpressureController<Row>,
    books: Books,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    _id: u64,
    _name: String,
}

impl Pipeline {
    pub(crate) fn start(load: Load, registry: &Registry) -> anyhow::Result<Self> {
        let config = BackpressureConfig::builder().capacity(4_000).batch_items(200);
        let database = BackpressureController::builder(config.build()?)
            .flush_fn(move |rows: Vec<Row>| async move {
                tokio::time::sleep(load.phase().write(rows.len() as u64)).await;
                Ok::<_, anyhow::Error>(())
            })
            .spawn()?;
        let target = database.clone();
        let look_up = service_fn(move |ids: Vec<u64>| look_up(ids, target.clone()));
        let enrich: Enrich =
            BatchLayer::builder().max_items(IN_LOOKUP).concurrency(LOOKUPS).capacity(QUEUED).build()?.layer(look_up);
        let (source, incoming) =
            channel(BackpressureConfig::builder().capacity(3_000).strategy(Strategy::DropNewest).build()?);
        let (parsed, to_parse) =
            channel(BackpressureConfig::builder().capacity(1_000).strategy(Strategy::block_forever()).build()?);

        let gauges = [
            ("source", incoming.gauge()),
            ("parse", to_parse.gauge()),
            ("enrich", enrich.gauge()),
            ("database", database.gauge()),
        ];
        let mut parts = Vec::new();
        for (name, gauge) in &gauges {
            parts.push(registry.add(name, gauge.clone())?);
        }
        for pair in parts.windows(2) {
            registry.link(&pair[0], &pair[1])?;
        }
        let generator = tokio::spawn(generate(load, source));
        let stages = [tokio::spawn(forward(incoming, parsed)), tokio::spawn(parse(to_parse, enrich))];
        Ok(Self { generator, stages, database, books: Books { gauges } })
    }

    /// From the source on: nothing new, and then what is there goes through to the end.
    pub(crate) async fn drain(self, within: Duration) -> DrainReport<Row> {
        let start = Instant::now();
        self.generator.abort();
        let stages = async {
            for stage in self.stages {
                let _ = stage.await;
            }
        };
        // What is in the database's own buffer needs time, too.
        let _ = tokio::time::timeout(within / 2, stages).await;
        self.database.drain(within.saturating_sub(start.elapsed())).await
    }

    pub(crate) fn books(&self) -> Books {
        self.books.clone()
    }
}

/// Offers what the load says, a hundredth of a second at a time.
async fn generate(load: Load, to: Sender<u64>) {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut id = 0;
    loop {
        pace.tick().await;
        for _ in 0..load.phase().rate() / 100 {
            // What does not fit is lost, and counted.
            let _ = to.try_send(id);
            id += 1;
        }
    }
}

async fn forward(mut from: Receiver<u64>, to: Sender<u64>) {
    while let Some(item) = from.recv().await {
        if to.send(item).await.is_err() {
            return;
        }
    }
}

async fn parse(from: Receiver<u64>, enrich: Enrich) {
    let enriched = from.map(|id| enrich.clone().oneshot(id)).buffer_unordered(CONCURRENCY);
    // A row that fails is in the ledger of `enrich`.
    enriched.for_each(async |_| ()).await;
}

/// One lookup for many items, which then go to the database: as fast as it takes them.
async fn look_up(ids: Vec<u64>, database: BackpressureController<Row>) -> anyhow::Result<Vec<()>> {
    tokio::time::sleep(LOOKUP).await;
    for id in &ids {
        let row = Row { _id: *id, _name: format!("device {id}") };
        database.push(row).await.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(vec![(); ids.len()])
}

/// Where it is counted what became of everything.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    gauges: [(&'static str, Gauge); 4],
}

impl Books {
    pub(crate) fn read(&self) -> Ended {
        Ended { counts: self.gauges.each_ref().map(|(name, gauge)| (*name, gauge.snapshot().counts)) }
    }
}

/// What became of everything.
#[derive(Debug)]
pub(crate) struct Ended {
    counts: [(&'static str, Counts); 4],
}

impl Ended {
    /// Whether each part knows what became of all that it got.
    pub(crate) fn balances(&self) -> bool {
        self.counts.iter().all(|(_, counts)| counts.balances())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counts) in &self.counts {
            let lost = counts.dropped() + counts.evicted() + counts.failed();
            let Counts { received, delivered, .. } = counts;
            writeln!(f, "{name:<9} {received:>8} received {delivered:>8} delivered {lost:>6} lost")?;
        }
        f.write_str(if self.balances() { "every ledger balances" } else { "A LEDGER DOES NOT BALANCE" })
    }
}
