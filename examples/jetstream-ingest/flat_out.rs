//! How fast deliveries go through source and controller when the flush costs nothing, beside a loop written by hand.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::Client;
use backpressure::{BackpressureConfig, BackpressureController};
use backpressure_nats::{AckExt, Delivery, PullConfig, PullSource};
use futures_util::StreamExt;
use tokio::time::{Instant, interval, timeout};

use crate::args::Settings;
use crate::fill::Publisher;
use crate::server::connect;
use crate::stream;

/// Each side has its turn this often, one after the other.
const ROUNDS: usize = 5;

/// How long one turn may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn measure(url: &str, settings: &Settings) -> Result<()> {
    let client = connect(url).await?;
    println!("{} records a turn, batches of {}; records a second\n", settings.records, settings.batch);
    println!("{:>16}{:>16}{:>8}", "loop by hand", "this", "ratio");
    let (mut by_hand, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_hand.push(rate(settings, &client, |client| fetch_and_ack(client, settings)).await?);
        ours.push(rate(settings, &client, |client| pull_and_flush(client, settings)).await?);
        if let (Some(hand), Some(this)) = (by_hand.last(), ours.last()) {
            println!("{hand:>16.0}{this:>16.0}{:>7.2}×", this / hand);
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    println!("\nmedian against median: {:.2}×", median(&mut ours) / median(&mut by_hand));
    Ok(())
}

/// Records a second, from the first request until the server has the last acknowledgement.
async fn rate<F: Future<Output = Result<()>>>(
    settings: &Settings,
    client: &Client,
    work: impl FnOnce(Client) -> F,
) -> Result<f64> {
    let jetstream = stream::create(client, 20_000).await?;
    Publisher::new(jetstream.clone())?.publish(settings.records).await?;
    let began = Instant::now();
    timeout(PATIENCE, work(client.clone())).await.context("it takes too long")??;
    let mut ticks = interval(Duration::from_millis(2));
    while stream::consumer(&jetstream).await?.cached_info().num_ack_pending > 0 {
        ticks.tick().await;
        ensure!(began.elapsed() < PATIENCE, "acknowledgements are missing");
    }
    Ok(settings.records as f64 / began.elapsed().as_secs_f64())
}

/// What one writes first: fetch a batch, do the work, acknowledge each message.
async fn fetch_and_ack(client: Client, settings: &Settings) -> Result<()> {
    let consumer = stream::consumer(&async_nats::jetstream::new(client.clone())).await?;
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
    let consumer = stream::consumer(&async_nats::jetstream::new(client.clone())).await?;
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
