//! Tower layers that act on pressure.
//!
//! # Shedding what does not fit
//!
//! A [`ShedLayer`] refuses calls before anything is done for them, so that the others are answered in time. What fits is a
//! matter of its own limit on calls in flight, [fixed](ShedLayer::fixed) or [found out](ShedLayer::adaptive) by a
//! [`Limiter`], and of the parts behind it, whose [`Gauge`](backpressure_core::Gauge)s it may
//! [watch](ShedLayerBuilder::watch). Who is refused learns why and when to come back: [`Overloaded`]. A [`Policy`] says what
//! is done in which state, a level [which calls go first](ShedLayer::level). A [`ShedHandle`] reads and changes all that
//! while it runs, and [drains](ShedHandle::drain) it in the end. A call that is cut by a timeout is an overload: the layer knows
//! of [those inside of it](is_timeout), and is told of [those around it](ShedLayerBuilder::timeout).
//!
//! All services of one layer, and of its clones, share one limit: axum and tonic make many of them. What a layer would do
//! can be tried out first, as a [shadow](ShedLayerBuilder::shadow).
//!
//! # Answers in HTTP and gRPC
//!
//! With the feature `http`, [`ShedLayer::into_http`] answers what is shed with 503 and a `Retry-After`; with `grpc`,
//! [`ShedLayer::into_grpc`] with `RESOURCE_EXHAUSTED`, or `UNAVAILABLE` while draining, and a pushback. The error type of the
//! service stays as it was, so both fit under axum's `Router::layer` and tonic's `Server::layer`; with `tonic` they fit around
//! a single tonic service, too. A request holds its slot to the end of the response's body. [`RequestHeaders`] reads how
//! long a request may take and, from whoever it is told to trust, how important it is and whose; requests to health checks
//! and metrics go by.
//!
//! A [`CoalescedBody`] keeps a stream of small events from costing an HTTP/2 connection when its reader stalls.
//!
//! # For those who call
//!
//! With the feature `client` a [`ThrottleLayer`] holds back calls that would be refused anyway, and a [`RetryLayer`] tries
//! refused calls again, within a [`RetryBudget`] and not before the service wants it. [`HttpRefusals`] and [`GrpcRefusals`]
//! know a refusal when they see one, and a call that was never processed; with the feature `h2` also when HTTP/2 says so.
//! [`GrpcRefusals`] tells where the layers belong around a tonic client.
//!
//! # Many calls, one batch
//!
//! With the feature `batch` a [`BatchLayer`] turns a service that answers many requests at once, a query with many keys, a model,
//! a bulk method, into one that answers single calls: `Service<Vec<Req>>` becomes `Service<Req>`. Callers know nothing of
//! one another. Nobody waits for a batch to fill unless asked to; batches form by themselves while the service is busy. What is
//! queued is bounded and has a gauge; callers that go away are not executed.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "batch")]
mod batch;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "serde")]
mod external;
#[cfg(feature = "shed")]
mod limiter;
#[cfg(feature = "shed")]
mod overloaded;
#[cfg(any(feature = "client", feature = "shed"))]
mod random;
#[cfg(feature = "http")]
mod respond;
#[cfg(feature = "shed")]
mod shed;

#[cfg(feature = "batch")]
pub use batch::{
    Answers, Batch, BatchDrain, BatchDrainReport, BatchError, BatchFuture, BatchLayer, BatchLayerBuilder, BatchWorker,
    Fallback,
};
#[cfg(all(feature = "client", feature = "tonic"))]
pub use client::ReplayTonic;
#[cfg(feature = "client")]
pub use client::{
    Answer, AsError, CloneBy, Cloned, ErrorsAreRefusals, Judge, Keep, NotRetried, NotTried, Note, Retry, RetryBudget,
    RetryCounts, RetryFuture, RetryLayer, Throttle, ThrottleError, ThrottleFuture, ThrottleLayer, Verdict,
};
#[cfg(all(feature = "client", feature = "grpc"))]
pub use client::{GrpcRefusals, ThrottledGrpc};
#[cfg(all(feature = "client", feature = "http"))]
pub use client::{HttpRefusals, ReplayBody, ReplayHttp, ThrottleBody, ThrottledHttp};
#[cfg(feature = "shed")]
pub use limiter::{Entry, Limiter, LimiterBuilder, OpenStream, Permit, QueuedCall};
#[cfg(feature = "shed")]
pub use overloaded::{Overloaded, ShedReason};
#[cfg(feature = "grpc")]
pub use respond::Grpc;
#[cfg(feature = "http")]
pub use respond::{CoalescedBody, HeldBody, Http, Linger, Lingers, NoLinger, RefusedExt, RequestHeaders};
#[cfg(feature = "shed")]
pub use shed::{
    Action, ByLevel, ByOutcome, ByPatience, Bypass, Class, Classify, Drain, LingerCounts, Lingering, Plain, Policy,
    Responder, Shed, ShedCounts, ShedDrainReport, ShedError, ShedFuture, ShedHandle, ShedLayer, ShedLayerBuilder,
    is_timeout,
};

/// The README's example compiles and runs.
#[cfg(all(doctest, feature = "client", feature = "shed", feature = "tonic"))]
#[doc = include_str!("../README.md")]
struct Readme;
