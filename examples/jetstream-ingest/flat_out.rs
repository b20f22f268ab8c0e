//! How fast deliveries go through source and controller when the flush costs nothing, beside a loop written by hand.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{Client, jetstream};
use backpressure::{BackpressureConfig, BackpressureController};
use backpressure_nats::{AckExt, Delivery, PullConfig, PullSource};
use futures_util::StreamExt;
use tokio::time::{Instant, interval, timeout};

use crate::args::Settings;
use crate::cpu::Used;
use crate::fill::Publisher;
use crate::server::connect;
use crate::stream;

/// Each side has its turn this often, one after the other.
const ROUNDS: usize = 9;

/// Room at the server for what neither side comes near.
pub(crate) const ACK_PENDING: i64 = 20_000;

/// How long one turn may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a turn has shown.
#[derive(Debug, Clone, Copy)]
struct Turn {
    rate: f64,
    /// Microseconds of processor time for a record, here and at the server.
    here: f64,
    server: f64,
}

pub(crate) async fn measure(url: &str, server: Option<u32>, settings: &Settings) -> Result<()> {
    let client = connect(url).await?;
    let jetstream = stream::create(&client, ACK_PENDING).await?;
    Publisher::new(jetstream.clone())?.publish(settings.records).await?;
    println!("{} records a turn, batches of {}", settings.records, settings.batch);
    println!("records a second, and microseconds of processor time for each: here + at the server\n");
    println!("{:>28}{:>28}{:>8}", "loop by hand", "this", "ratio");
    let turns = Turns { settings, client, jetstream, server };
    let (mut by_hand, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let hand = turns.next(|client| fetch_and_ack(client, settings)).await?;
        let this = turns.next(|client| pull_and_flush(client, settings)).await?;
        println!("{}{}{:>7.2}×", columns(hand), columns(this), this.rate / hand.rate);
        by_hand.push(hand);
        ours.push(this);
    }
    println!("\nmedian against median: {:.2}×", median(&ours, |it| it.rate) / median(&by_hand, |it| it.rate));
    if server.is_some() {
        let [hand, this] = [&by_hand, &ours].map(|turns| (median(turns, |it| it.here), median(turns, |it| it.server)));
        println!("processor time here: {:.2}×, at the server: {:.2}×", this.0 / hand.0, this.1 / hand.1);
    }
    Ok(())
}

fn columns(turn: Turn) -> String {
    format!("{:>14.0}{:>7.2} +{:>5.2}", turn.rate, turn.here, turn.server)
}

pub(crate) fn median<T>(turns: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<_> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Every turn reads the same stream, with a consumer of its own.
struct Turns<'a> {
    settings: &'a Settings,
    client: Client,
    jetstream: jetstream::Context,
    server: Option<u32>,
}

impl Turns<'_> {
    /// From the first request until the server has the last acknowledgement.
    async fn next<F: Future<Output = Result<()>>>(&self, work: impl FnOnce(Client) -> F) -> Result<Turn> {
        stream::renew_consumer(&self.jetstream, ACK_PENDING).await?;
        let (began, before) = (Instant::now(), Used::now(self.server));
        timeout(PATIENCE, work(self.client.clone())).await.context("it takes too long")??;
        let mut ticks = interval(Duration::from_millis(2));
        while stream::consumer(&self.jetstream).await?.cached_info().num_ack_pending > 0 {
            ticks.tick().await;
            ensure!(began.elapsed() < PATIENCE, "acknowledgements are missing");
        }
        let (took, used) = (began.elapsed(), Used::now(self.server).since(before));
        let records = self.settings.records as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / records;
        Ok(Turn { rate: records / took.as_secs_f64(), here: each(used.here), server: each(used.server) })
    }
}

/// What one writes first: fetch a batch, do the work, acknowledge each message.
async fn fetch_and_ack(client: Client, settings: &Settings) -> Result<()> {
    let consumer = stream::consumer(&jetstream::new(client.clone())).await?;
    let mut left = settings.records;
    while left > 0 {
        let batch = consumer.fetch().max_messages(settings.batch as usize).messages().await?;
        let batch: Vec<_> = batch.collect().await;
        for message in batch {
            message.map_err(anyhow::Error::from_boxed)?.ack().await.map_err(anyhow::Error::from_boxed)?;
            left = left.saturating_sub(1);
        }
    }
    Ok(client.flush().await?)
}

async fn pull_and_flush(client: Client, settings: &Settings) -> Result<()> {
    let batch = settings.batch as usize;
    let config = BackpressureConfig::builder().capacity(8 * batch).batch_items(batch).build()?;
    let pull = PullConfig::new().room_of(&config, 2);
    let consumer = stream::consumer(&jetstream::new(client.clone())).await?;
    let mut source = PullSource::from_consumer(client, consumer).config(pull).spawn().await?;
    let controller = BackpressureController::builder(config)
        .flush_acked_fn(async |_: Vec<Delivery<async_nats::Message>>| Ok::<_, std::convert::Infallible>(()))
        .concurrency(2)
        .spawn()?;
    for _ in 0..settings.records {
        let delivery = source.next().await.context("the source has ended")?;
        controller.push(delivery).await?;
    }
    controller.flush().await?;
    let handle = source.handle();
    let mut ticks = interval(Duration::from_millis(1));
    while handle.counts().held > 0 {
        ticks.tick().await;
    }
    Ok(())
}
