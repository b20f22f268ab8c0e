//! The stream of deliveries, and the handle that stops it.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use backpressure_core::{ConfigError, Gauge};
use futures_core::{FusedStream, Stream};
use tokio::sync::watch;

use crate::agent::Agent;
use crate::config::{ConsumerRules, PullConfig};
use crate::delivery::Delivery;
use crate::engine::{Engine, Lag};
use crate::pull::{Pull, PullCounts};
use crate::shared::Shared;
use crate::signal::Signal;

/// The deliveries of a consumer, as many at a time as there is room for. A [`Stream`] that ends when it was
/// [stopped](PullHandle::stop), or when the consumer [is gone](PullHandle::is_gone).
///
/// A task of its own pulls, renews leases and sends answers; it ends when the source has ended and everything is settled.
/// Dropping the source stops it, and gives back what was not taken out of it.
#[must_use = "a source that is not read fills its window and stops"]
pub struct PullSource<T> {
    shared: Arc<Shared<T>>,
    /// What was taken out of the inbox at once.
    taken: VecDeque<Delivery<T>>,
    handle: PullHandle,
    is_done: bool,
}

/// Stops a source, waits for its end, and tells what it did. Clones are of the same source.
#[derive(Clone)]
pub struct PullHandle {
    source: Arc<dyn Source>,
    gauge: Gauge,
}

/// A source of whatever items.
trait Source: Send + Sync {
    fn stop(&self);
    fn books(&self) -> (PullCounts, Lag);
    fn is_gone(&self) -> bool;
    fn has_ended(&self) -> watch::Receiver<bool>;
}

impl<T: Send + Sync + 'static> PullSource<T> {
    /// Starts to pull from an engine. For JetStream see [`PullSource::from_consumer`](crate::PullSource::from_consumer).
    ///
    /// # Errors
    ///
    /// A configuration that cannot work: see [`PullConfig::check`]. An `ack_wait` below 100 ms leaves no time for renewals.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one without time enabled.
    pub fn spawn<E>(engine: E, config: PullConfig, rules: ConsumerRules) -> Result<Self, ConfigError>
    where
        E: Engine<Item = T>,
    {
        config.check()?;
        if rules.ack_wait.as_millis() < 100 {
            return Err(ConfigError::new("ack_wait", format!("{:?}", rules.ack_wait), "at least 100ms"));
        }
        let shared = Arc::new(Shared::new());
        let signal = Signal::new(config.window, config.full_lag);
        let handle = PullHandle { source: shared.clone(), gauge: signal.gauge() };
        tokio::spawn(Agent::new(engine, Pull::new(config, rules), Arc::clone(&shared), signal).run());
        Ok(Self { shared, taken: VecDeque::new(), handle, is_done: false })
    }
}

impl<T> PullSource<T> {
    /// The next delivery; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has taken nothing.
    pub async fn next(&mut self) -> Option<Delivery<T>> {
        poll_fn(|cx| self.poll_delivery(cx)).await
    }

    /// What stops the source and tells about it.
    pub fn handle(&self) -> PullHandle {
        self.handle.clone()
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery<T>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        if self.shared.outbox.is_stopping() {
            self.is_done = true;
            self.hand_back();
            return Poll::Ready(None);
        }
        if self.taken.is_empty() && !ready!(self.shared.inbox.poll_take(cx, &mut self.taken)) {
            self.is_done = true;
            return Poll::Ready(None);
        }
        let delivery = self.taken.pop_front();
        self.shared.outbox.read(usize::from(delivery.is_some()));
        Poll::Ready(delivery)
    }

    /// Gives back what nobody has taken, for others to have it at once.
    fn hand_back(&mut self) {
        let left = std::mem::take(&mut self.taken);
        for delivery in left.into_iter().chain(self.shared.inbox.clear()) {
            delivery.nak();
        }
    }
}

impl<T> Stream for PullSource<T> {
    type Item = Delivery<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery<T>>> {
        self.get_mut().poll_delivery(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.is_done { (0, Some(0)) } else { (0, None) }
    }
}

impl<T> FusedStream for PullSource<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

impl<T> Unpin for PullSource<T> {}

impl<T> Drop for PullSource<T> {
    fn drop(&mut self) {
        self.shared.outbox.stop();
        self.hand_back();
    }
}

impl PullHandle {
    /// Stops pulling. The source ends at once: what it holds and nobody has taken goes back to the server, and so does what is
    /// still on its way. What was taken out of it stays held until it is settled.
    pub fn stop(&self) {
        self.source.stop();
    }

    /// Resolves once the source has ended, everything that was taken out of it is settled, and the server has all answers. Only
    /// then may the client be drained or dropped: an acknowledgement that comes later is lost, and the message delivered again.
    ///
    /// It waits for the end of the [requests](PullConfig::expires) that are out, for as long as anybody holds a delivery, and while
    /// there is no connection; bound it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it changes nothing.
    pub async fn settled(&self) {
        // It ends with an error when the task is gone, which is an end, too.
        let _ = self.source.has_ended().wait_for(|ended| *ended).await;
    }

    /// Whether the source has ended because the consumer is gone, or nobody has answered for as long as
    /// [`patience`](PullConfig::patience) says.
    pub fn is_gone(&self) -> bool {
        self.source.is_gone()
    }

    /// What happened to deliveries so far.
    pub fn counts(&self) -> PullCounts {
        self.source.books().0
    }

    /// How far behind the consumer is, as far as is known: the number of messages that wait from each delivery, all of it from
    /// the server, every few seconds.
    pub fn lag(&self) -> Lag {
        self.source.books().1
    }

    /// The pressure of the source: what is held is in flight, what was acknowledged is delivered, what was given back or
    /// terminated has failed. The state follows the share of the window that is held, or the
    /// [lag](PullConfig::full_lag), whichever is worse.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }
}

impl<T: Send + Sync> Source for Shared<T> {
    fn stop(&self) {
        self.outbox.stop();
        self.inbox.close();
    }

    fn books(&self) -> (PullCounts, Lag) {
        Self::books(self)
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }

    fn has_ended(&self) -> watch::Receiver<bool> {
        Self::has_ended(self)
    }
}

impl<T> fmt::Debug for PullSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSource").field("counts", &self.handle.counts()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PullHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullHandle").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
