//! The retry layer.

use std::sync::Arc;
use std::time::Duration;

use backpressure_core::ConfigError;
use tower_layer::Layer;

use super::backoff::Backoff;
use super::budget::RetryBudget;
use super::keep::{CloneBy, Cloned};
use super::plan::{Plan, Shared};
#[cfg(feature = "http")]
use super::replay::ReplayHttp;
#[cfg(feature = "tonic")]
use super::replay::ReplayTonic;
use super::rule::Rule;
use super::service::Retry;
use super::why::{Counters, RetryCounts};
use crate::client::ErrorsAreRefusals;
#[cfg(feature = "tonic")]
use crate::client::GrpcRefusals;
#[cfg(feature = "http")]
use crate::client::HttpRefusals;
use crate::random::Random;

/// Tries refused calls again, within a [`RetryBudget`], after an exponential back-off with full jitter, and never sooner than
/// the service asks for.
///
/// Which outcomes are refusals is for a [`Judge`](crate::Judge) to say; to the default one every error is. What the caller gets
/// when no retry is left, or none affordable, is the last outcome, as it was; in a runtime without timers none is. The request is
/// cloned for each try. Requests of HTTP whose bodies cannot be cloned are kept while they are sent, for
/// [HTTP](Self::into_http) and [gRPC](Self::into_grpc) clients; others may be [copied by a function](Self::clone_by).
///
/// Only what did not take effect is safe to be tried again. A call that was shed did not; of one that timed out nobody
/// knows. Have the judge answer [`Served`](crate::Verdict::Served) for outcomes after which a retry might do the work twice.
///
/// Put it outside a [`ThrottleLayer`](crate::ThrottleLayer), so that each try is subject to the throttle.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use backpressure_tower::{RetryBudget, RetryLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let calls = AtomicU32::new(0);
/// let client = ServiceBuilder::new().layer(RetryLayer::new(RetryBudget::default())).service(service_fn(|n: u32| {
///     let refuses = calls.fetch_add(1, Ordering::Relaxed) < 2;
///     async move { if refuses { Err("overloaded") } else { Ok(n * 2) } }
/// }));
/// assert_eq!(client.oneshot(21).await, Ok(42));
/// assert_eq!(calls.load(Ordering::Relaxed), 3);
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct RetryLayer<J = ErrorsAreRefusals, K = Cloned> {
    plan: Plan<J, K>,
}

impl RetryLayer {
    /// At most two retries for a call, paid for out of `budget`.
    pub fn new(budget: RetryBudget) -> Self {
        let shared = Arc::new(Shared { random: Random::new(), counters: Counters::default() });
        Self {
            plan: Plan {
                budget,
                rule: Rule::default(),
                deadline: None,
                shared,
                judge: ErrorsAreRefusals,
                keep: Cloned,
            },
        }
    }
}

impl<J, K> RetryLayer<J, K> {
    /// Has a [`Judge`](crate::Judge) say which outcomes are refusals.
    pub fn judge<L>(self, judge: L) -> RetryLayer<L, K> {
        let Plan { budget, rule, deadline, shared, keep, .. } = self.plan;
        RetryLayer { plan: Plan { budget, rule, deadline, shared, judge, keep } }
    }

    fn keep<L>(self, keep: L) -> RetryLayer<J, L> {
        let Plan { budget, rule, deadline, shared, judge, .. } = self.plan;
        RetryLayer { plan: Plan { budget, rule, deadline, shared, judge, keep } }
    }

    /// Copies requests by a function, which answers `None` for one that cannot be repeated: it is sent once. For requests that are
    /// not `Clone`, such as reqwest's:
    ///
    /// ```
    /// # mod reqwest { pub struct Request; impl Request { pub fn try_clone(&self) -> Option<Self> { Some(Self) } } }
    /// use backpressure_tower::{RetryBudget, RetryLayer};
    ///
    /// let retry = RetryLayer::new(RetryBudget::default()).clone_by(reqwest::Request::try_clone);
    /// # let _ = retry;
    /// ```
    pub fn clone_by<Req, F: Fn(&Req) -> Option<Req>>(self, clone: F) -> RetryLayer<J, CloneBy<F>> {
        self.keep(CloneBy(clone))
    }

    /// Keeps the bodies of HTTP requests while they are sent, instead of cloning requests, and judges by
    /// [`HttpRefusals`](crate::HttpRefusals), unless [`judge`](Self::judge) is called after this. The service gets requests whose body
    /// is a [`ReplayBody`](crate::ReplayBody).
    ///
    /// * A body is sent as it comes, be it a stream: nothing is read ahead. At most [`max_body`](Self::max_body) bytes of it are kept
    ///   for another try, 64 KiB by default. If more than that has been sent when the service refuses, the call is not tried again.
    /// * A refusal that is not tried again has the reason, a [`NotRetried`](crate::NotRetried), among the extensions of its response.
    ///
    /// ```
    /// use backpressure_tower::{ReplayBody, RetryBudget, RetryLayer};
    /// use http::{Request, Response};
    /// use http_body_util::Full;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let answers = std::sync::Arc::new(std::sync::Mutex::new(vec![200, 503]));
    /// let client = ServiceBuilder::new().layer(RetryLayer::new(RetryBudget::default()).into_http()).service(service_fn(
    ///     // Such as hyper-util's `Client`, of any connector and `ReplayBody<Full<Bytes>>`.
    ///     move |_: Request<ReplayBody<Full<&'static [u8]>>>| {
    ///         let status = answers.lock().unwrap().pop().unwrap_or(500);
    ///         async move { Response::builder().status(status).body(()) }
    ///     },
    /// ));
    /// let response = client.oneshot(Request::post("/readings").body(Full::new(&b"1.5"[..]))?).await?;
    /// assert_eq!(response.status(), 200);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "http")]
    pub fn into_http(self) -> RetryLayer<HttpRefusals, ReplayHttp> {
        self.judge(HttpRefusals).keep(ReplayHttp::default())
    }

    /// Keeps the bodies of gRPC requests while they are sent, instead of cloning requests, and judges by
    /// [`GrpcRefusals`](crate::GrpcRefusals), unless [`judge`](Self::judge) is called after this. It belongs *below* a generated tonic
    /// client and above its `Channel`.
    ///
    /// * A message, or a stream of them, is sent as it comes: nothing is read ahead. At most [`max_body`](Self::max_body) bytes are
    ///   kept for another try, 64 KiB by default. If more than that has been sent when the server refuses, the call is not tried
    ///   again.
    /// * A refusal that is not tried again has the reason in its metadata: see [`NotRetried`](crate::NotRetried).
    /// * A request's own deadline, `grpc-timeout`, holds for all tries together, and so does the [`deadline`](Self::deadline) of the
    ///   layer. Each try has what is left of the sooner one as its `grpc-timeout`: tonic's channel ends it, and the server knows.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_tower::{RetryBudget, RetryLayer, ThrottleLayer};
    /// use tonic::transport::Endpoint;
    /// use tower::ServiceBuilder;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let channel = ServiceBuilder::new()
    ///     .layer(RetryLayer::new(RetryBudget::default()).deadline(Duration::from_secs(2)).into_grpc())
    ///     .layer(ThrottleLayer::new().into_grpc())
    ///     .service(Endpoint::from_static("http://localhost:50051").connect_lazy());
    /// // let client = PlayClient::new(channel);
    /// # fn is_grpc<S: tonic::client::GrpcService<tonic::body::Body>>(_: S) {}
    /// # is_grpc(channel);
    /// # }
    /// ```
    #[cfg(feature = "tonic")]
    pub fn into_grpc(self) -> RetryLayer<GrpcRefusals, ReplayTonic> {
        self.judge(GrpcRefusals).keep(ReplayTonic::default())
    }

    /// At most so many retries after the first try. Default 2.
    pub fn retries(mut self, retries: u32) -> Self {
        self.plan.rule.retries = retries;
        self
    }

    /// The wait before a retry is random, up to `base`; twice that before the next, and so on, up to `ceiling`. Default 50 ms
    /// and 10 s.
    ///
    /// # Errors
    ///
    /// Refuses a `base` above the `ceiling`.
    pub fn backoff(mut self, base: Duration, ceiling: Duration) -> Result<Self, ConfigError> {
        self.plan.rule.backoff = Backoff::new(base, ceiling)?;
        Ok(self)
    }

    /// The longest wait that a service can ask for. One that asks to be left alone for longer is not tried again, since
    /// sooner would be against its will; the caller learns of it at once instead. The back-off comes on top. Default 30 s.
    pub fn longest_wait(mut self, longest_wait: Duration) -> Self {
        self.plan.rule.longest_wait = longest_wait;
        self
    }

    /// How long all tries of a call may take together. A retry that would begin later is not made; the caller gets the last outcome
    /// at once, instead of waiting in vain. Default: none.
    ///
    /// A try that is under way is not cut: nobody would know whether it took effect. It is bounded by its `grpc-timeout`, if the layer
    /// is [for gRPC](Self::into_grpc), or by a timeout inside of this layer.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.plan.deadline = Some(deadline);
        self
    }

    /// What the services of this layer, and of its clones, did so far.
    pub fn counts(&self) -> RetryCounts {
        self.plan.shared.counters.read()
    }
}

#[cfg(feature = "http")]
impl<J> RetryLayer<J, ReplayHttp> {
    /// How many bytes of a request's body are kept for another try. Default 64 KiB.
    ///
    /// Each call that is under way keeps as much at most, until its answer begins.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.plan.keep.max_body = bytes;
        self
    }
}

#[cfg(feature = "tonic")]
impl<J> RetryLayer<J, ReplayTonic> {
    /// How many bytes of a request's body are kept for another try. Default 64 KiB.
    ///
    /// Each call that is under way keeps as much at most, until its answer begins.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.plan.keep.max_body = bytes;
        self
    }
}

impl<S, J: Clone, K: Clone> Layer<S> for RetryLayer<J, K> {
    type Service = Retry<S, J, K>;

    fn layer(&self, inner: S) -> Retry<S, J, K> {
        Retry::new(inner, self.plan.clone())
    }
}
