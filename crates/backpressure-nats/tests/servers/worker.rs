//! A worker in a process of its own: this same program, told by its environment what to do.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::Message;
use async_nats::jetstream;
use backpressure_controller::BackpressureController;
use backpressure_core::BackpressureConfig;
use backpressure_nats::{AckExt, Delivery, PullConfig, PullSource};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::process::Process;
use crate::scenarios::world::{MS, PATIENCE};
use crate::server::{CONSUMER, STREAM, connect, say};
use crate::table::Table;

/// Rows of a batch, and batches at a time.
pub(crate) const BATCH: usize = 25;
pub(crate) const CONCURRENCY: usize = 2;

pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) database: PathBuf,
    /// How long each transaction stays open.
    pub(crate) pace: Duration,
}

impl Order {
    /// Starts a process that obeys. It ends gently when its standard input does.
    pub(crate) fn start(&self) -> Result<Process> {
        let mut command = Command::new(env::current_exe()?);
        command
            .env("TEST_WORKER_NAME", &self.name)
            .env("TEST_WORKER_URL", &self.url)
            .env("TEST_WORKER_DATABASE", &self.database)
            .env("TEST_WORKER_PACE_MS", self.pace.as_millis().to_string());
        Process::start(command.stdin(Stdio::piped()))
    }
}

/// What this process is told to do, if it is a worker.
pub(crate) fn order() -> Option<Order> {
    Some(Order {
        name: env::var("TEST_WORKER_NAME").ok()?,
        url: env::var("TEST_WORKER_URL").ok()?,
        database: env::var_os("TEST_WORKER_DATABASE")?.into(),
        pace: Duration::from_millis(env::var("TEST_WORKER_PACE_MS").ok()?.parse().ok()?),
    })
}

pub(crate) fn run(order: Order) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(work(order))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("worker: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn work(order: Order) -> Result<()> {
    let client = connect(&order.url).await?;
    let consumer = jetstream::new(client.clone()).get_consumer_from_stream(CONSUMER, STREAM).await?;
    let config =
        BackpressureConfig::builder().capacity(2 * BATCH).batch_items(BATCH).flush_interval(MS, 20 * MS).build()?;
    let pull = PullConfig::new().room_of(&config, CONCURRENCY);
    let mut source = PullSource::from_consumer(client.clone(), consumer).config(pull).spawn().await?;
    let table = Arc::new(Mutex::new(Table::open(&order.database)?));
    let controller = BackpressureController::builder(config)
        .flush_acked_fn(move |batch: Vec<Delivery<Message>>| {
            let (table, name, pace) = (Arc::clone(&table), order.name.clone(), order.pace);
            async move {
                let ids: Vec<_> = batch.iter().map(Delivery::id).collect();
                let write = move || {
                    let mut table = table.lock().map_err(|_| anyhow::anyhow!("a writer panicked"))?;
                    table.write(&name, &ids, || std::thread::park_timeout(pace))
                };
                spawn_blocking(write)
                    .await
                    .context("the writer is gone")
                    .flatten()
                    .map_err(|error| std::io::Error::other(format!("{error:#}")))
            }
        })
        .concurrency(CONCURRENCY)
        .spawn()?;
    let handle = source.handle();
    let at_the_end = handle.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        at_the_end.stop();
    });
    while let Some(delivery) = source.next().await {
        controller.push(delivery).await.map_err(|_| anyhow::anyhow!("the controller is closed"))?;
    }
    let report = controller.drain(PATIENCE).await;
    anyhow::ensure!(report.is_complete(), "not drained: {report:?}");
    timeout(PATIENCE, handle.settled()).await?;
    client.drain().await?;
    Ok(())
}
