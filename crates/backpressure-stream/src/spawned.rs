//! The upstream in a task of its own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use std::vec;

use backpressure_channel::{Builder, Receiver, Sender, SinkError};
use backpressure_core::{BackpressureConfig, DropReason, Gauge, Hooks, Reporter, State, Strategy};
use backpressure_rt::{Relay, now};
use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use tokio::task::{JoinError, JoinHandle, consume_budget};

use crate::upstream::Upstream;

/// A stream whose upstream runs in a task. Made by [`Backpressure::spawn`](crate::Backpressure::spawn).
///
/// Dropping it ends the task; what is still queued is lost for [`DropReason::Closed`]. To lose nothing,
/// [`close`](Self::close) it and take the rest.
///
/// A panic in the task, be it the upstream's or a closure's, resurfaces in the consumer's poll, after everything that was
/// queued.
#[must_use = "dropping it ends the task"]
pub struct Spawned<T> {
    /// What was read before there was a task.
    read_ahead: vec::IntoIter<T>,
    receiver: Receiver<T>,
    /// Gone once the task has ended and its panic, if any, has resurfaced.
    task: Option<JoinHandle<()>>,
    lost: Hooks<T>,
}

impl<T: Send + 'static> Spawned<T> {
    pub(crate) fn new<St>(
        upstream: Upstream<St>,
        read_ahead: Vec<T>,
        config: &BackpressureConfig,
        hooks: Hooks<T>,
    ) -> Self
    where
        St: Stream<Item = T> + Send + 'static,
    {
        let config = patient(config);
        let way = Way { waits: !config.strategy().is_lossy(), reserves: config.max_weight().is_some() };
        let (sender, receiver) = Builder::new(config).hooks(hooks.clone()).build();
        let (lost, reporter) = (hooks.clone(), receiver.reporter());
        let task = tokio::spawn(async move {
            if let Err(error) = pump(upstream, sender, reporter, way).await {
                lost.dispose(error.into_inner(), DropReason::Closed);
            }
        });
        Self { read_ahead: read_ahead.into_iter(), receiver, task: Some(task), lost: hooks }
    }
}

impl<T> Spawned<T> {
    /// How full the channel between the task and the consumer is, and what has happened in it. The task counts as a producer
    /// that waits while it waits for room.
    pub fn gauge(&self) -> Gauge {
        self.receiver.gauge()
    }

    /// Ends the task and drops the upstream. What is queued is still delivered, then the end. Idempotent.
    pub fn close(&mut self) {
        let mut relay = Relay::new();
        relay.call(|| self.receiver.close());
        if let Some(task) = &self.task {
            relay.call(|| task.abort());
        }
        relay.resume();
    }
}

/// How items go into the channel.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Whether there has to be room before an item is read.
    waits: bool,
    /// Whether room for one item may be too little for the next.
    reserves: bool,
}

/// Moves items from the upstream into the channel, until either end is gone. Hands back an item that came too late.
///
/// No item is in hand while anything is awaited: a task that is aborted loses none.
async fn pump<St: Stream>(
    upstream: Upstream<St>,
    mut sender: Sender<St::Item>,
    reporter: Reporter,
    way: Way,
) -> Result<(), SinkError<St::Item>> {
    let gauge = sender.gauge();
    let mut upstream = pin!(upstream);
    loop {
        poll_fn(|cx| Pin::new(&mut sender).poll_flush(cx)).await?;
        if way.waits {
            // Room that was seen stays: nobody else sends.
            wait_for_room(&gauge, &reporter).await;
        }
        consume_budget().await;
        let Some(item) = poll_fn(|cx| upstream.as_mut().poll_next(cx)).await else { return Ok(()) };
        if way.reserves {
            // Should the channel be closed, the item is refused, and counted, like any other.
            let _ = poll_fn(|cx| Pin::new(&mut sender).poll_ready(cx)).await;
        }
        Pin::new(&mut sender).start_send(item)?;
    }
}

async fn wait_for_room(gauge: &Gauge, reporter: &Reporter) {
    if gauge.state() == State::Blocked {
        let _waiting = Waiting::begin(reporter);
        while gauge.state() == State::Blocked {
            gauge.changed_from(State::Blocked).await;
        }
    }
}

/// The task waits for room, and counts as a producer that does until this is dropped.
struct Waiting<'a> {
    reporter: &'a Reporter,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(reporter: &'a Reporter) -> Self {
        reporter.producer_waits();
        Self { reporter, since: now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = now();
        self.reporter.producer_waited();
        self.reporter.producer_wait(now, now.saturating_duration_since(self.since));
    }
}

/// A task has nobody to hand an item back to, so strategies that lose nothing wait as long as it takes.
fn patient(config: &BackpressureConfig) -> BackpressureConfig {
    if config.strategy().is_lossy() {
        return config.clone();
    }
    config.to_builder().strategy(Strategy::block_forever()).build().unwrap_or_else(|_| config.clone())
}

impl<T> Stream for Spawned<T> {
    type Item = T;

    /// # Cancel safety
    ///
    /// A poll that is pending has taken nothing.
    ///
    /// # Panics
    ///
    /// With the task's panic, if it panicked, once everything that was queued has been taken.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        if let Some(item) = this.read_ahead.next() {
            return Poll::Ready(Some(item));
        }
        if let Some(item) = ready!(this.receiver.poll_recv(cx)) {
            return Poll::Ready(Some(item));
        }
        if let Some(task) = &mut this.task {
            let ended = ready!(Pin::new(task).poll(cx));
            this.task = None;
            if let Some(Ok(panic)) = ended.err().map(JoinError::try_into_panic) {
                resume_unwind(panic);
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let ahead = self.read_ahead.len();
        let (lower, upper) = self.receiver.size_hint();
        (lower.saturating_add(ahead), upper.and_then(|upper| upper.checked_add(ahead)))
    }
}

impl<T> FusedStream for Spawned<T> {
    fn is_terminated(&self) -> bool {
        self.read_ahead.len() == 0 && self.receiver.is_terminated() && self.task.is_none()
    }
}

impl<T> Unpin for Spawned<T> {}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        let mut relay = Relay::new();
        relay.call(|| self.close());
        relay.call(|| self.lost.dispose(&mut self.read_ahead, DropReason::Closed));
        relay.resume();
    }
}

impl<T> fmt::Debug for Spawned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned").field("state", &self.gauge().state()).finish_non_exhaustive()
    }
}
