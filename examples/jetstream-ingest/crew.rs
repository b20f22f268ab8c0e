//! The workers, as processes that may be killed.

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, interval};

use crate::args::Settings;
use crate::place::Place;

/// How long the workers may take to end when they are told to.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Crew<'a> {
    settings: &'a Settings,
    url: String,
    database: &'a Place,
    workers: Vec<Child>,
    next: usize,
    pub(crate) killed: u64,
}

impl<'a> Crew<'a> {
    pub(crate) fn start(settings: &'a Settings, url: &str, database: &'a Place, workers: usize) -> Result<Self> {
        let mut crew =
            Self { settings, url: url.to_owned(), database, workers: Vec::with_capacity(workers), next: 0, killed: 0 };
        for number in 0..workers {
            let worker = crew.worker(number)?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    fn worker(&self, number: usize) -> Result<Child> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["worker", "--name", &format!("worker {}", number + 1), "--url", &self.url]);
        command.arg("--database").arg(self.database.argument());
        command.args(["--batch", &self.settings.batch.to_string()]);
        command.args(["--lookup-ms", &self.settings.lookup_ms.to_string()]);
        command.stdin(Stdio::piped()).spawn().context("cannot start a worker")
    }

    /// Kills one worker after the other, without a warning, and starts it again.
    pub(crate) fn kill_one(&mut self) -> Result<()> {
        let number = self.next % self.workers.len();
        self.next += 1;
        self.workers[number].kill()?;
        self.workers[number].wait()?;
        self.killed += 1;
        self.workers[number] = self.worker(number)?;
        Ok(())
    }

    /// Whether one has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            let ended = worker.try_wait()?;
            ensure!(ended.is_none(), "a worker has ended: {ended:?}");
        }
        Ok(())
    }

    /// Tells all to end, and waits until they have.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.workers.iter_mut().for_each(|worker| drop(worker.stdin.take()));
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(Duration::from_millis(20));
        for worker in &mut self.workers {
            let status = loop {
                ticks.tick().await;
                if let Some(status) = worker.try_wait()? {
                    break status;
                }
                ensure!(Instant::now() < deadline, "a worker does not end");
            };
            ensure!(status.success(), "a worker ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}
