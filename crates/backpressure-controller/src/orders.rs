//! What was asked of the worker.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use tokio::sync::oneshot;
use tower_service::Service;

use crate::careful::guarded;
use crate::command::Command;
use crate::home::Home;
use crate::worker::Worker;

impl<T, S: Service<Vec<T>>, H: Home> Worker<T, S, H> {
    /// Takes what was asked of the worker. Those who ask for a flush are to be put in line.
    pub(crate) fn take_orders(&mut self, now: Instant, cx: &mut Context<'_>) -> Vec<oneshot::Sender<()>> {
        let mut flushes = Vec::new();
        while let Poll::Ready(Some(command)) = Pin::new(&mut self.inbox).poll_next(cx) {
            match command {
                Command::Flush(done) => flushes.push(done),
                Command::Concurrency(batches) => self.concurrency = batches,
                Command::Reconfigured => {
                    self.schedule.reconfigure(&self.receiver.handle().config());
                    self.reporter.paced(self.schedule.interval(), self.schedule.full().items);
                }
                Command::Drain { began, deadline, done } => {
                    guarded(|| self.receiver.close());
                    self.drains.add(began.min(now), deadline, self.totals, done);
                }
            }
        }
        flushes
    }
}
