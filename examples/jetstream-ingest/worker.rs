//! One worker process: from the stream through a controller into the database.

use std::io::Read;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{Message, jetstream};
use backpressure::{BackpressureConfig, BackpressureController, ConfigError};
use backpressure_nats::{AckExt, Delivery, PullConfig, PullHandle, PullSource};
use tokio::time::timeout;

use crate::args::WorkerOrder;
use crate::place::Database;
use crate::server::connect;
use crate::stream::consumer;
use crate::writer::{Quake, Row, WriteError, Writer};

/// Batches that are looked up and written at a time.
pub(crate) const CONCURRENCY: usize = 2;

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn work(order: WorkerOrder) -> Result<()> {
    let client = connect(&order.url).await?;
    let config = config(order.batch as usize)?;
    let pull = PullConfig::new().room_of(&config, CONCURRENCY);
    let consumer = consumer(&jetstream::new(client.clone())).await?;
    let mut source = PullSource::from_consumer(client.clone(), consumer).config(pull).spawn().await?;
    let lookup = order.lookup();
    let controller = controller(config, order.database.open().await?, order.name, lookup)?;

    let handle = source.handle();
    stop_at_the_end_of_input(handle.clone());
    while let Some(delivery) = source.next().await {
        push(&controller, delivery).await?;
    }
    // In this order: what was taken is written, what was written is acknowledged, and only then is the connection closed.
    let report = controller.drain(PATIENCE).await;
    ensure!(report.is_complete(), "{} records were not written in time", report.abandoned.len());
    drop(report);
    timeout(PATIENCE, handle.settled()).await.context("the server does not take the answers")?;
    ensure!(!handle.is_gone(), "the consumer is gone");
    client.drain().await.context("the connection does not close")
}

pub(crate) fn config(batch: usize) -> Result<BackpressureConfig, ConfigError> {
    BackpressureConfig::builder()
        .capacity(2 * batch)
        .batch_items(batch)
        .flush_interval(Duration::from_millis(10), Duration::from_millis(200))
        .build()
}

/// Looks up, writes, acknowledges.
pub(crate) fn controller(
    config: BackpressureConfig,
    database: Database,
    name: String,
    lookup: Duration,
) -> Result<BackpressureController<Delivery<Quake>>, ConfigError> {
    BackpressureController::builder(config)
        .flush_acked_fn(move |batch: Vec<Delivery<Quake>>| {
            let (database, name) = (database.clone(), name.clone());
            async move {
                tokio::time::sleep(lookup).await;
                let row =
                    |it: &Delivery<Quake>| Row { number: it.id(), delivered: it.delivered(), quake: it.item().clone() };
                database.write(&name, batch.iter().map(row).collect()).await
            }
        })
        .judge_by(|error: &WriteError| error.verdict)
        .bisect()
        .concurrency(CONCURRENCY)
        .spawn()
}

pub(crate) async fn push(
    controller: &BackpressureController<Delivery<Quake>>,
    delivery: Delivery<Message>,
) -> Result<()> {
    match delivery.try_map(|message| serde_json::from_slice::<Quake>(&message.payload)) {
        Ok(quake) => drop(controller.push(quake).await.context("the controller has closed")?),
        // Nobody will ever be able to read it.
        Err(unreadable) => drop(unreadable.term()),
    }
    Ok(())
}

/// Who started the worker closes its input to end it; and if it is gone, so is the worker.
fn stop_at_the_end_of_input(source: PullHandle) {
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        source.stop();
    });
}
