//! A real server, started on a free port with its data in a directory of its own.

use std::collections::BTreeSet;
use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context, consumer, stream};
use async_nats::{Client, ConnectOptions, Message};
use backpressure_nats::{PullConfig, PullSource};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::process::Process;
use crate::scenarios::world::{MS, Setup, World, until};

pub(crate) const STREAM: &str = "EVENTS";
pub(crate) const CONSUMER: &str = "writers";
const LETTERS: &str = "LETTERS";

/// A program that was found.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    path: PathBuf,
    pub(crate) version: String,
}

impl Installed {
    /// One of each version.
    pub(crate) fn find() -> Vec<Self> {
        let named = env::var_os("BACKPRESSURE_NATS_SERVER").unwrap_or_default();
        let on_path = env::var_os("PATH").unwrap_or_default();
        let dirs = env::split_paths(&on_path).chain(["/usr/sbin".into()]).map(|dir| dir.join("nats-server"));
        let mut versions = BTreeSet::new();
        let known = env::split_paths(&named).chain(dirs).filter_map(|path| Self::at(&path));
        known.filter(|found| versions.insert(found.version.clone())).collect()
    }

    fn at(path: &Path) -> Option<Self> {
        let output = Command::new(path).arg("--version").stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.trim().strip_prefix("nats-server: v")?.to_owned();
        Some(Self { path: path.to_owned(), version })
    }

    fn start(&self, port: u16, data: &Path) -> Result<Process> {
        let mut command = Command::new(&self.path);
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"]).arg(data);
        Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }
}

pub(crate) fn say(sentence: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{sentence}");
}

/// A server that runs, with a client.
pub(crate) struct Flesh {
    installed: Installed,
    process: Mutex<Process>,
    port: u16,
    data: TempDir,
    client: Client,
    jetstream: Context,
}

impl Flesh {
    pub(crate) async fn start(installed: &Installed) -> Result<Self> {
        let data = TempDir::new()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Mutex::new(installed.start(port, &data.path().join("nats"))?);
        let client = connect(&url(port)).await?;
        let jetstream = jetstream::new(client.clone());
        Ok(Self { installed: installed.clone(), process, port, data, client, jetstream })
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// A directory that is removed at the end.
    pub(crate) fn dir(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn jetstream(&self) -> Context {
        self.jetstream.clone()
    }

    /// How many messages a stream keeps.
    pub(crate) async fn messages(&self, stream: &str) -> Result<u64> {
        Ok(self.jetstream.get_stream(stream).await?.cached_info().state.messages)
    }

    async fn consumer(&self) -> Result<consumer::PullConsumer> {
        Ok(self.jetstream.get_consumer_from_stream(CONSUMER, STREAM).await?)
    }
}

fn url(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

/// Connects as soon as the server listens.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let options = ConnectOptions::new().retry_on_initial_connect().reconnect_delay_callback(|_| 50 * MS);
    let client = options.connect(url).await?;
    until("the server listens", || async { Ok(client.connection_state() == async_nats::connection::State::Connected) })
        .await?;
    Ok(client)
}

impl World for Flesh {
    type Item = Message;

    async fn set_up(&self, setup: Setup) -> Result<()> {
        let stream = |name: &str, subject: &str| stream::Config {
            name: name.into(),
            subjects: vec![subject.into()],
            ..stream::Config::default()
        };
        self.jetstream.create_stream(stream(LETTERS, "letters.>")).await?;
        let events = self.jetstream.create_stream(stream(STREAM, "events.>")).await?;
        let config = pull::Config {
            durable_name: Some(CONSUMER.into()),
            ack_wait: setup.ack_wait,
            max_ack_pending: i64::try_from(setup.max_ack_pending)?,
            max_deliver: setup.max_deliver.map_or(-1, |most| most as i64),
            ..pull::Config::default()
        };
        events.create_consumer(config).await?;
        Ok(())
    }

    async fn publish(&self, count: u64, bytes: usize) -> Result<()> {
        let payload = vec![b'x'; bytes.saturating_sub(80)];
        let mut confirmations = Vec::new();
        for _ in 0..count {
            confirmations.push(self.jetstream.publish("events.x", payload.clone().into()).await?);
        }
        for confirmation in confirmations {
            confirmation.await?;
        }
        Ok(())
    }

    async fn source(&self, config: PullConfig) -> Result<PullSource<Message>> {
        let builder = PullSource::from_consumer(self.client.clone(), self.consumer().await?);
        let builder = builder.config(config).dead_letters("letters.events").lag_interval(200 * MS);
        Ok(builder.spawn().await?)
    }

    async fn restart(&self, down: Duration) -> Result<()> {
        let mut process = self.process.lock().await;
        process.kill()?;
        let _ = tokio::time::timeout(down, std::future::pending::<()>()).await;
        *process = self.installed.start(self.port, &self.data.path().join("nats"))?;
        until("the server is there again", || async {
            Ok(self.jetstream.stream_names().next().await.is_some_and(|name| name.is_ok()))
        })
        .await
    }

    async fn delete_consumer(&self) -> Result<()> {
        self.jetstream.delete_consumer_from_stream(CONSUMER, STREAM).await?;
        Ok(())
    }

    async fn unsettled(&self) -> Result<u64> {
        let info = self.consumer().await.context("the consumer does not answer")?.cached_info().clone();
        Ok(info.num_pending + info.num_ack_pending as u64)
    }

    async fn dead_letters(&self) -> Result<Vec<u64>> {
        let mut letters = self.jetstream.get_stream(LETTERS).await?;
        let last = letters.info().await?.state.last_sequence;
        let mut numbers = Vec::new();
        for sequence in 1..=last {
            let message = letters.get_raw_message(sequence).await?;
            anyhow::ensure!(message.headers.get("Backpressure-Subject").is_some_and(|it| it.as_str() == "events.x"));
            numbers.push(message.headers.get("Backpressure-Sequence").context("no number")?.as_str().parse()?);
        }
        Ok(numbers)
    }
}
