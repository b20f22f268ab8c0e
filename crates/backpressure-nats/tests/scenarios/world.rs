//! A server with one stream and one consumer, and the workers before it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use backpressure_controller::{BackpressureController, FlushOutcome, Verdict};
use backpressure_core::BackpressureConfig;
use backpressure_nats::{AckExt, Delivery, PullConfig, PullHandle, PullSource};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use super::database::{Database, Refusal};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// How long anything may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How the consumer is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) ack_wait: Duration,
    pub(crate) max_ack_pending: usize,
    pub(crate) max_deliver: Option<u64>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { ack_wait: Duration::from_secs(30), max_ack_pending: 1_000, max_deliver: None }
    }
}

/// A server, of flesh or of paper.
pub(crate) trait World: Send + Sync {
    type Item: Debug + Send + Sync + 'static;

    fn set_up(&self, setup: Setup) -> impl Future<Output = Result<()>> + Send;

    /// Publishes `count` messages of this many bytes. The first message ever has the number 1.
    fn publish(&self, count: u64, bytes: usize) -> impl Future<Output = Result<()>> + Send;

    fn source(&self, config: PullConfig) -> impl Future<Output = Result<PullSource<Self::Item>>> + Send;

    /// Kills the server, and starts it again after this time.
    fn restart(&self, down: Duration) -> impl Future<Output = Result<()>> + Send;

    fn delete_consumer(&self) -> impl Future<Output = Result<()>> + Send;

    /// Messages that the consumer has not settled.
    fn unsettled(&self) -> impl Future<Output = Result<u64>> + Send;

    /// The numbers of the messages among the dead letters.
    fn dead_letters(&self) -> impl Future<Output = Result<Vec<u64>>> + Send;
}

/// A worker: a source before a controller before the database.
pub(crate) struct Worker<T: Debug + Send + Sync + 'static> {
    pub(crate) source: PullHandle,
    pub(crate) controller: BackpressureController<Delivery<T>>,
    pump: JoinHandle<()>,
}

impl<T: Debug + Send + Sync + 'static> Worker<T> {
    /// Flushes batches of `batch` into the database, `concurrency` at a time, under this name.
    pub(crate) fn start(
        mut source: PullSource<T>,
        database: &Arc<Database>,
        name: &'static str,
        batch: usize,
        concurrency: usize,
    ) -> Result<Self> {
        let config =
            BackpressureConfig::builder().capacity(batch * 2).batch_items(batch).flush_interval(MS, 20 * MS).build()?;
        let database = Arc::clone(database);
        let controller = BackpressureController::builder(config)
            .flush_acked_fn(move |batch: Vec<Delivery<T>>| {
                let database = Arc::clone(&database);
                async move {
                    let ids: Vec<_> = batch.iter().map(Delivery::id).collect();
                    let refused = database.write(name, &ids).await;
                    let mut outcome = FlushOutcome::delivered();
                    for delivery in batch {
                        match refused.get(&delivery.id()) {
                            Some(Refusal::Poison) => outcome.fail(delivery, Refusal::Poison, Verdict::Final),
                            Some(Refusal::Later) => outcome.fail(delivery, Refusal::Later, Verdict::Retry),
                            None => {}
                        }
                    }
                    Ok::<_, Refusal>(outcome)
                }
            })
            .concurrency(concurrency)
            .spawn()?;
        let (handle, into) = (source.handle(), controller.clone());
        let pump = tokio::spawn(async move {
            while let Some(delivery) = source.next().await {
                if into.push(delivery).await.is_err() {
                    break;
                }
            }
        });
        Ok(Self { source: handle, controller, pump })
    }

    /// Stops pulling, finishes what it has, and waits until the server knows. Answers what its books say.
    pub(crate) async fn shut_down(self) -> Result<backpressure_nats::PullCounts> {
        self.source.stop();
        timeout(PATIENCE, self.pump).await.context("the source does not end")??;
        let report = self.controller.drain(PATIENCE).await;
        ensure!(report.is_complete(), "not drained: {report:?}");
        timeout(PATIENCE, self.source.settled()).await.context("the source is not settled")?;
        let counts = self.source.counts();
        ensure!(counts.balances() && counts.held == 0, "the books do not balance: {counts:?}");
        let ledger = self.source.gauge().snapshot().counts;
        ensure!(ledger.balances() && ledger.in_flight == 0, "the gauge does not balance: {ledger:?}");
        ensure!(ledger.delivered == counts.acked, "the gauge says {}, the books {counts:?}", ledger.delivered);
        Ok(counts)
    }
}

/// Waits until `is_so`, and says what was waited for if it never is.
pub(crate) async fn until<F: Future<Output = Result<bool>>>(what: &str, mut is_so: impl FnMut() -> F) -> Result<()> {
    let began = Instant::now();
    let mut ticks = interval(20 * MS);
    loop {
        ticks.tick().await;
        if is_so().await? {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "waited in vain: {what}");
    }
}

/// Waits until the database has this many rows and the server waits for nothing.
pub(crate) async fn until_done<W: World>(world: &W, database: &Database, rows: u64) -> Result<()> {
    until("all rows are there", || async { Ok(database.rows() >= rows) })
        .await
        .with_context(|| format!("{} of {rows} rows", database.rows()))?;
    until("the server has all answers", || async { Ok(world.unsettled().await? == 0) }).await
}
