//! The handle that reads and changes a layer while it runs.

use std::sync::Arc;
use std::time::Duration;

use backpressure_core::limit::Limit;
use backpressure_core::{Gauge, State};

use super::counts::ShedCounts;
use super::drain::Drain;
use super::gate::Gate;
use super::lingering::LingerCounts;
use super::policy::Policy;
use crate::limiter::{Limiter, OpenStream};
use crate::overloaded::Overloaded;

/// A handle on what all services of a [`ShedLayer`](super::ShedLayer) share: to read it, to change it, and to shut it down.
///
/// ```
/// use backpressure_core::{State, limit::Fixed};
/// use backpressure_tower::{ShedLayer, ShedReason};
///
/// let layer = ShedLayer::adaptive();
/// let handle = layer.handle();
/// handle.set_limit(Fixed::new(40)?);
/// handle.force(Some(State::Blocked)); // from now on, whatever is measured
/// assert_eq!((handle.limit(), handle.state()), (40, State::Blocked));
/// handle.force(None);
/// assert_eq!(handle.counts().shed(ShedReason::Pressure), 0);
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ShedHandle {
    gate: Arc<Gate>,
}

impl ShedHandle {
    pub(super) const fn of(gate: Arc<Gate>) -> Self {
        Self { gate }
    }

    /// The state by which calls are decided: the one that is forced, or else the worst of the limiter's and of those
    /// watched.
    pub fn state(&self) -> State {
        self.gate.state()
    }

    /// The instruments of the layer's own limiter.
    pub fn gauge(&self) -> Gauge {
        self.gate.limiter.gauge()
    }

    /// The layer's limiter.
    pub fn limiter(&self) -> &Limiter {
        &self.gate.limiter
    }

    /// How many calls may be in flight now.
    pub fn limit(&self) -> usize {
        self.gate.limiter.limit()
    }

    /// Why the limit is what it is, in words and numbers for people to read: [`Limiter::explain`].
    ///
    /// ```
    /// let layer = backpressure_tower::ShedLayer::adaptive();
    /// assert_eq!(layer.handle().explain(), "the limit is 16: where it started; nothing has been answered yet");
    /// ```
    pub fn explain(&self) -> String {
        self.gate.limiter.explain()
    }

    /// Answers that are streams and still open. They occupy no slots, and are in the snapshots of the [gauge](Self::gauge).
    pub fn streams(&self) -> usize {
        self.gate.limiter.streams()
    }

    /// So many streams may be open from now on; those that are open stay. See
    /// [`max_streams`](super::ShedLayerBuilder::max_streams).
    pub fn set_max_streams(&self, most: usize) {
        self.gate.limiter.set_max_streams(most);
    }

    /// Counts something as a stream for as long as the answer is kept: what goes on after its call in a way that the layer
    /// does not see. The answer to an upgrade, `101 Switching Protocols`, has no body, so its handler asks for this before
    /// it agrees, and gives it to the task that serves the WebSocket.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if as many streams are open as may be. See [`Limiter::open_stream`].
    pub fn open_stream(&self) -> Result<OpenStream, Overloaded> {
        self.gate.limiter.open_stream()
    }

    /// What was shed, and why.
    pub fn counts(&self) -> ShedCounts {
        self.gate.counts()
    }

    /// The requests that are read on after they were shed, over HTTP/1: see [`Linger`](crate::Linger).
    pub fn lingering(&self) -> LingerCounts {
        self.gate.lingering.counts()
    }

    /// Another limit from now on, obeyed by the next call: other bounds, or another rule.
    pub fn set_limit(&self, limit: impl Limit + 'static) {
        self.gate.limiter.set_limit(limit);
    }

    /// Another table from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.gate.watch.set_policy(policy);
    }

    /// From now on the parts that are watched count as being in this state, whatever they say; `None` ends that. The limit
    /// holds as before.
    pub fn force(&self, state: Option<State>) {
        self.gate.watch.force(state);
    }

    /// Makes the layer a [shadow](super::ShedLayerBuilder::shadow), or real.
    pub fn set_shadow(&self, shadow: bool) {
        self.gate.set_shadow(shadow);
    }

    /// What a readiness probe should answer: whether new calls are welcome. False from the moment the layer drains, and
    /// only then: a part under pressure that was taken out of service would leave its load to the others.
    pub fn is_ready(&self) -> bool {
        !self.gate.is_leaving() && self.state() != State::Draining
    }

    pub(super) fn is_shadow(&self) -> bool {
        self.gate.is_shadow()
    }

    /// Whether this handle is all that is left of the layer.
    pub(super) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.gate) == 1
    }

    /// Shuts the layer down: [`is_ready`](Self::is_ready) is false at once; after a [grace](Drain::grace), if one is given,
    /// every call is shed as `Draining`; and what is in flight is waited for, open [streams](Self::streams) too, until
    /// `deadline` has passed since this call at the latest.
    ///
    /// It cannot be undone. Several drains at once all report.
    ///
    /// # Cancel safety
    ///
    /// The drain begins with this call, the shedding once the future is polled and the grace is over. Dropping the future ends
    /// neither, and nobody waits any more.
    ///
    /// # Panics
    ///
    /// When polled outside of a tokio runtime with time enabled, unless nothing is in flight and there is no grace.
    pub fn drain(&self, deadline: Duration) -> Drain {
        self.gate.leave();
        Drain::new(Arc::clone(&self.gate), deadline)
    }
}
