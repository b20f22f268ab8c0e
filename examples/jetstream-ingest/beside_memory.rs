//! How fast rows get from the stream into the database, beside the same rows out of memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::{Client, jetstream};
use backpressure::BackpressureController;
use backpressure_nats::{PullConfig, PullSource};
use tokio::time::{Instant, interval};

use crate::args::Settings;
use crate::fill::{Publisher, lines};
use crate::place::{Database, Place};
use crate::server::connect;
use crate::writer::{Quake, Row, Writer};
use crate::{flat_out, stream, worker};

/// Each side has its turn this often, one after the other.
const ROUNDS: usize = 5;

pub(crate) async fn measure(url: &str, settings: &Settings, scratch: &Path) -> Result<()> {
    let client = connect(url).await?;
    let jetstream = stream::create(&client, flat_out::ACK_PENDING).await?;
    Publisher::new(jetstream.clone())?.publish(settings.records).await?;
    println!("{} rows a turn, {} a transaction; rows a second\n", settings.records, settings.batch);
    println!("{:>16}{:>16}{:>8}", "from memory", "from the stream", "ratio");
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let database = Place::for_run(settings.database.as_ref(), scratch, 2 * round).await?.open().await?;
        let memory = timed(settings, from_memory(settings, database)).await?;
        let database = Place::for_run(settings.database.as_ref(), scratch, 2 * round + 1).await?.open().await?;
        stream::renew_consumer(&jetstream, flat_out::ACK_PENDING).await?;
        let streamed = timed(settings, from_the_stream(settings, &client, database)).await?;
        println!("{memory:>16.0}{streamed:>16.0}{:>7.2}×", streamed / memory);
        without.push(memory);
        with.push(streamed);
    }
    let ratio = flat_out::median(&with, |rate| *rate) / flat_out::median(&without, |rate| *rate);
    println!("\nmedian against median: {ratio:.2}×");
    Ok(())
}

/// Rows a second.
async fn timed(settings: &Settings, work: impl Future<Output = Result<()>>) -> Result<f64> {
    let began = Instant::now();
    work.await?;
    Ok(settings.records as f64 / began.elapsed().as_secs_f64())
}

async fn from_memory(settings: &Settings, database: Database) -> Result<()> {
    let lookup = Duration::from_millis(settings.lookup_ms);
    let controller = BackpressureController::builder(worker::config(settings.batch as usize)?)
        .flush_fn(move |rows: Vec<Row>| {
            let database = database.clone();
            async move {
                tokio::time::sleep(lookup).await;
                database.write("from memory", rows).await
            }
        })
        .concurrency(worker::CONCURRENCY)
        .spawn()?;
    for (number, line) in (1..=settings.records).zip(lines()) {
        let quake: Quake = serde_json::from_slice(line.as_bytes())?;
        controller.push(Row { number, delivered: 1, quake }).await?;
    }
    Ok(controller.flush().await?)
}

/// Until the server has the last acknowledgement.
async fn from_the_stream(settings: &Settings, client: &Client, database: Database) -> Result<()> {
    let config = worker::config(settings.batch as usize)?;
    let pull = PullConfig::new().room_of(&config, worker::CONCURRENCY);
    let consumer = stream::consumer(&jetstream::new(client.clone())).await?;
    let mut source = PullSource::from_consumer(client.clone(), consumer).config(pull).spawn().await?;
    let lookup = Duration::from_millis(settings.lookup_ms);
    let controller = worker::controller(config, database, "from the stream".into(), lookup)?;
    for _ in 0..settings.records {
        let delivery = source.next().await.context("the source has ended")?;
        worker::push(&controller, delivery).await?;
    }
    controller.flush().await?;
    let handle = source.handle();
    let mut ticks = interval(Duration::from_millis(1));
    while handle.counts().held > 0 {
        ticks.tick().await;
    }
    Ok(client.flush().await?)
}
