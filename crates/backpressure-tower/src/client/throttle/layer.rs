//! The throttle layer.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use backpressure_core::{ConfigError, Instrument, Reading};
use tower_layer::Layer;

use super::answer::AsError;
#[cfg(feature = "grpc")]
use super::http::ThrottledGrpc;
#[cfg(feature = "http")]
use super::http::ThrottledHttp;
use super::rule::Rule;
use super::service::Throttle;
use super::shared::Shared;
use crate::client::ErrorsAreRefusals;
#[cfg(feature = "grpc")]
use crate::client::GrpcRefusals;
#[cfg(feature = "http")]
use crate::client::HttpRefusals;

/// Holds calls back while most are refused anyway.
///
/// Refusing costs the service, too: one that is asked ten times for what it can do once spends its capacity on saying
/// no. A call is therefore rejected on the spot, before it is made, with the probability
///
/// ```text
///            requests − K · accepts
///   max( 0,  ────────────────────── )
///                 requests + 1
/// ```
///
/// over the last two minutes, K = 2 (Beyer et al., *Site Reliability Engineering*, "Handling overload"). A service that
/// accepts at least one in K is never throttled. Calls that were held back count as requests, so as long as nothing is
/// accepted the probability rises; it never reaches 1, and what passes notices when the service is better.
///
/// A call counts once its answer is known, so a burst at the start is not held against itself. A call that is given up
/// (its future dropped) does not count: the loser of a race says nothing about the service. A timeout does count if it is
/// *inside* this layer, where it is an error like any. One that is outside drops the call; it counts only with
/// [`count_cancelled`](Self::count_cancelled).
///
/// All services of one layer value, and their clones, count together: make one layer for each service that is called.
///
/// ```
/// use backpressure_tower::{ThrottleError, ThrottleLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let down = service_fn(|_: u32| async { Err::<(), _>("overloaded") });
/// let throttle = ThrottleLayer::new();
/// let client = ServiceBuilder::new().layer(throttle.clone()).service(down);
///
/// let mut tried = 0;
/// for n in 0..1000 {
///     match client.clone().oneshot(n).await {
///         Err(ThrottleError::Inner(_)) => tried += 1,
///         Err(ThrottleError::Throttled { rejection }) => assert!(rejection < 1.0),
///         other => unreachable!("{other:?}"),
///     }
/// }
/// assert!(tried < 50, "{tried} calls reached a service that is down");
/// assert!(throttle.rejection() > 0.99);
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct ThrottleLayer<J = ErrorsAreRefusals, A = AsError> {
    shared: Arc<Shared>,
    judge: J,
    counts_cancelled: bool,
    answer: PhantomData<fn() -> A>,
}

impl ThrottleLayer {
    /// A throttle over two minutes with K = 2, to which every error is a refusal.
    pub fn new() -> Self {
        Self::from_rule(Rule::default())
    }

    /// A throttle of its own proportions.
    ///
    /// * `window`: how far back calls count. A shorter one is sooner to notice that the service is better and surer to
    ///   forget how bad it was. Default 120 s.
    /// * `k`: how many times as many calls as are accepted are made. 1.1 spares the service more, and is later to notice
    ///   that it accepts more. Default 2.
    /// * `max_rejection`: at most this share of the calls is held back. Below 1, a service that comes back after an
    ///   outage is noticed by that share of the traffic, rather than by one call in a window. Default 1.
    ///
    /// The published proportions are slow to trust again. When a service is back after ten minutes in which it refused
    /// everything, a client of 20 calls a second makes all of them again after so long (median of 21 simulations):
    ///
    /// | `max_rejection` | 120 s, the default | 30 s |
    /// |---|---|---|
    /// | 1, the default | 576 s | 117 s |
    /// | 0.95 | 267 s | 68 s |
    ///
    /// # Errors
    ///
    /// Refuses a `window` of zero, a `k` that is below 1 or not finite, and a `max_rejection` outside 0 to 1.
    pub fn with(window: Duration, k: f64, max_rejection: f64) -> Result<Self, ConfigError> {
        Rule::new(window, k, max_rejection).map(Self::from_rule)
    }

    fn from_rule(rule: Rule) -> Self {
        let shared = Arc::new(Shared::new(rule));
        Self { shared, judge: ErrorsAreRefusals, counts_cancelled: false, answer: PhantomData }
    }
}

impl<J, A> ThrottleLayer<J, A> {
    /// Has a [`Judge`](crate::Judge) say which outcomes are refusals.
    pub fn judge<K>(self, judge: K) -> ThrottleLayer<K, A> {
        let Self { shared, counts_cancelled, .. } = self;
        ThrottleLayer { shared, judge, counts_cancelled, answer: PhantomData }
    }

    /// Answers a call that was not made with 503 and an empty body, rather than with an error: the error type of the service stays
    /// what it was. [`NotTried`](crate::NotTried) is among the extensions of such a response. Judges by
    /// [`HttpRefusals`](crate::HttpRefusals), unless [`judge`](Self::judge) is called after this.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use backpressure_tower::ThrottleLayer;
    /// use http::{Request, Response};
    /// use tower::{ServiceBuilder, service_fn};
    ///
    /// let client = ServiceBuilder::new()
    ///     .layer(ThrottleLayer::new().into_http())
    ///     .service(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(()))));
    /// # fn cannot_fail<S: tower::Service<Request<()>, Error = Infallible>>(_: S) {}
    /// # cannot_fail(client);
    /// ```
    #[cfg(feature = "http")]
    pub fn into_http(self) -> ThrottleLayer<HttpRefusals, ThrottledHttp> {
        let Self { shared, counts_cancelled, .. } = self;
        ThrottleLayer { shared, judge: HttpRefusals, counts_cancelled, answer: PhantomData }
    }

    /// Answers a call that was not made with the status `UNAVAILABLE`, rather than with an error, which a tonic client would call
    /// `UNKNOWN`: the error type of the service stays what it was. It belongs below a generated client and above its `Channel`.
    /// [`NotTried`](crate::NotTried) is among the extensions of such a response. Judges by [`GrpcRefusals`](crate::GrpcRefusals),
    /// unless [`judge`](Self::judge) is called after this.
    ///
    /// See [`RetryLayer::into_grpc`](crate::RetryLayer::into_grpc) for a client with both.
    #[cfg(feature = "grpc")]
    pub fn into_grpc(self) -> ThrottleLayer<GrpcRefusals, ThrottledGrpc> {
        let Self { shared, counts_cancelled, .. } = self;
        ThrottleLayer { shared, judge: GrpcRefusals, counts_cancelled, answer: PhantomData }
    }

    /// Counts a call whose future is dropped before its answer as not accepted. By default it does not count at all.
    ///
    /// This is for callers who drop calls for one reason only, that they take too long, as with a timeout outside this layer.
    pub fn count_cancelled(mut self) -> Self {
        self.counts_cancelled = true;
        self
    }

    /// The probability with which a call is rejected now, from 0 to less than 1.
    pub fn rejection(&self) -> f64 {
        self.shared.rejection()
    }
}

/// What became of the calls, and the share that was held back. It takes no lock that calls need. Ended once no other layer,
/// service or call is left.
impl<J: Send + Sync, A> Instrument for ThrottleLayer<J, A> {
    fn read(&self) -> Reading {
        let mut reading = self.shared.tally().read();
        reading.ended = Arc::strong_count(&self.shared) == 1;
        reading
    }
}

impl Default for ThrottleLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, J: Clone, A> Layer<S> for ThrottleLayer<J, A> {
    type Service = Throttle<S, J, A>;

    fn layer(&self, inner: S) -> Throttle<S, J, A> {
        Throttle::new(inner, Arc::clone(&self.shared), self.judge.clone(), self.counts_cancelled)
    }
}
