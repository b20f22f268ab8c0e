//! The builder of a shed layer.

use std::time::Duration;

use backpressure_core::limit::{CoDel, Fixed, Limit};
use backpressure_core::{ConfigError, Gauge};

use super::gate::Gate;
use super::policy::Policy;
use super::watch::Watch;
use super::{Plain, ShedLayer};
use crate::limiter::{Limiter, LimiterBuilder};

/// Makes a [`ShedLayer`].
#[derive(Debug)]
#[must_use = "a builder does nothing by itself"]
pub struct ShedLayerBuilder {
    limiter: Source,
    gauges: Vec<Gauge>,
    max_streams: Option<usize>,
    policy: Policy,
    timeout: Option<Duration>,
    shadow: bool,
    waits: bool,
}

#[derive(Debug)]
enum Source {
    New(LimiterBuilder),
    Given(Limiter),
}

impl ShedLayer {
    /// A layer that is made to measure.
    pub fn builder() -> ShedLayerBuilder {
        ShedLayerBuilder::new(Limiter::builder().queue(CoDel::new()))
    }

    /// A layer that finds out by itself how many calls to admit, with a short queue. In a runtime without timers no call waits in
    /// it: each is shed instead.
    pub fn adaptive() -> Self {
        Self::builder().build()
    }

    /// A layer that admits so many calls at a time, with no queue.
    ///
    /// # Errors
    ///
    /// Refuses 0.
    pub fn fixed(limit: usize) -> Result<Self, ConfigError> {
        Ok(Self::builder().limiter(Limiter::fixed(limit)?).build())
    }

    /// A layer that sheds while a part is pressed, and has no limit of its own: there is room for 2³² calls in flight, or
    /// [`usize::MAX`] where that is less. For several parts, see [`Gauge::worst_of`].
    pub fn by_gauge(gauge: Gauge) -> Self {
        let unlimited = Fixed::new(usize::MAX).map(|limit| Limiter::builder().limit(limit));
        ShedLayerBuilder::new(unlimited.unwrap_or_else(|_| Limiter::builder())).watch(gauge).build()
    }
}

impl ShedLayerBuilder {
    pub(super) fn new(limiter: LimiterBuilder) -> Self {
        Self {
            limiter: Source::New(limiter),
            gauges: Vec::new(),
            max_streams: None,
            policy: Policy::default(),
            timeout: None,
            shadow: false,
            waits: false,
        }
    }

    /// What limits the calls in flight. Default: a [`Limiter`] that finds its limit by itself, with a short queue.
    ///
    /// A limiter that is given to several layers limits all of them together.
    pub fn limiter(self, limiter: impl Into<Limiter>) -> Self {
        Self { limiter: Source::Given(limiter.into()), ..self }
    }

    /// Another limit, with a short queue.
    pub fn limit(self, limit: impl Limit + 'static) -> Self {
        Self { limiter: Source::New(Limiter::builder().limit(limit).queue(CoDel::new())), ..self }
    }

    /// How many streams may be open, over HTTP and gRPC: answers whose length nobody knows, which give their slot back before
    /// they end. See [`HeldBody`](crate::HeldBody) for which those are. Default: what the limiter is set to, which is 10 000
    /// unless it was told otherwise; 0 allows none.
    ///
    /// One that is too many is answered like a shed call, for [`ShedReason::Streams`](crate::ShedReason::Streams): 503, or
    /// `RESOURCE_EXHAUSTED`. A connection that is upgraded, to a WebSocket say, is counted if its handler keeps an
    /// [`OpenStream`](crate::OpenStream).
    pub fn max_streams(self, most: usize) -> Self {
        Self { max_streams: Some(most), ..self }
    }

    /// Watches a part, in addition to those watched already: calls are shed while it is pressed, as the
    /// [`policy`](Self::policy) says for the worst state of all of them. Default: none is watched.
    pub fn watch(mut self, gauge: Gauge) -> Self {
        self.gauges.push(gauge);
        self
    }

    /// What is done in which state of the parts that are watched. Default: see [`Policy`].
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// How long calls may take before a timeout around the layer cuts them, such as tonic's `Server::timeout` or tower's
    /// `TimeoutLayer`. Default: nobody knows, and a call that is dropped was cancelled.
    ///
    /// The layer cuts nothing by itself. A call that is dropped after nine tenths of this time, or of what its
    /// [wait timeout](super::ShedLayer::wait_timeout) or `grpc-timeout` says, was cut: the books say
    /// [timed out](backpressure_core::DropReason::TimedOut), and it is an overload, for which the limit falls. A call whose caller
    /// has given it less time than others are answered in is no overload. A call that would wait in the short queue is refused
    /// if it cannot be answered in time. This costs a look at the clock for each call.
    ///
    /// Timeouts inside of the layer need no such hint. See [`is_timeout`](crate::is_timeout) for how their errors are known.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Decides and counts, but sheds nothing and lets nothing wait: for finding out what a layer would do. Default: no.
    ///
    /// A call that would have been shed takes no slot, so that the others are counted as if it had been. Layers that share
    /// its limiter refuse no streams either.
    pub fn shadow(self) -> Self {
        Self { shadow: true, ..self }
    }

    /// For those who call rather than serve: `poll_ready` is pending while there is no slot, or while a part that is
    /// watched is `Blocked`, and wakes on the edge; a service that is ready has its slot, as long as no more than 64 are ready and
    /// not called (any more take theirs at the call). Nothing is shed, unless the layer drains, or a
    /// [class](super::ShedLayer::class_by) has as many calls as it may. Default: no, for a server that lets its callers wait has a queue without a bound.
    ///
    /// A readiness that is not used goes back: after a second, or two at most, a service that is ready and was not called loses
    /// its slot to those that wait. If it is called then, the call itself waits for a slot, first come, first served; and from
    /// then on that service is ready when there is a slot, and takes it only when it is called. So nothing is stuck where
    /// several services of one limit are polled and one is called, as `Steer` and `Balance` of tower do; nor where a service
    /// waits that nobody polls any more, for its slot goes back likewise when it has its turn. It takes a tokio
    /// runtime with a timer; without one, a service that is ready keeps its slot. A drain takes such slots back at once, and
    /// waits for no service that is ready and not called.
    ///
    /// Priorities and deadlines, which belong to requests, mean nothing where there is no request yet.
    pub fn wait(self) -> Self {
        Self { waits: true, ..self }
    }

    /// The layer. All services it makes share what was built here, in every clone of either.
    pub fn build(self) -> ShedLayer<Plain, Plain> {
        let limiter = match self.limiter {
            Source::New(builder) => builder.build(),
            Source::Given(limiter) => limiter,
        };
        if let Some(most) = self.max_streams {
            limiter.set_max_streams(most);
        }
        let mut gauges = self.gauges;
        let gauge = if gauges.len() > 1 { Some(Gauge::worst_of(gauges)) } else { gauges.pop() };
        let watch = Watch::new(gauge, self.policy, limiter.now()());
        ShedLayer::of(Gate::new(limiter, watch, self.waits, self.shadow).timeout(self.timeout))
    }
}
