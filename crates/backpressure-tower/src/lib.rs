//! Tower layers that act on pressure.
//!
//! # Load shedding
//!
//! A [`ShedLayer`] refuses calls before any work is done for them, so that the other calls are answered
//! in time. It refuses what exceeds its limit on calls in flight, which is [fixed](ShedLayer::fixed) or
//! [adaptive](ShedLayer::adaptive), and what the parts behind it cannot take: it
//! [watches](ShedLayerBuilder::watch) their [`Gauge`](backpressure_core::Gauge)s. A refused caller
//! learns why and when to come back: [`Overloaded`].
//!
//! * A [`Policy`] says what is done in which state, and a [level](ShedLayer::level) which calls go
//!   first.
//! * A [`ShedHandle`] reads and changes the layer while it runs, and [drains](ShedHandle::drain) it at
//!   the end.
//! * Calls that do the same, by their route, gRPC method or [any key](ShedLayer::class_by), are a class. One whose backend is
//!   dead cannot take all slots from the others.
//! * A call that is cut off by a timeout counts as overload. The layer recognises timeouts
//!   [inside it](is_timeout), and its builder is told of [those around it](ShedLayerBuilder::timeout).
//! * All services of one layer, and of its clones, share one limit: axum and tonic make many of them.
//! * A [shadow](ShedLayerBuilder::shadow) counts what a layer would refuse, and refuses nothing.
//!
//! # Answers in HTTP and gRPC
//!
//! With the feature `http`, [`ShedLayer::into_http`] answers refused requests with 503 and a
//! `Retry-After`. With `grpc`, [`ShedLayer::into_grpc`] answers with `RESOURCE_EXHAUSTED`, or
//! `UNAVAILABLE` while draining, and a pushback. The error type of the service does not change, so both
//! fit under axum's `Router::layer` and tonic's `Server::layer`; with `tonic` they fit around a single
//! tonic service, too. A request holds its slot until the end of the response's body.
//!
//! [`RequestHeaders`] reads a request's deadline and, from senders that it is told to trust, its
//! importance and tenant. It lets health checks and metrics pass. [`RefusedExt`] turns the errors of a
//! handler into answers. A [`CoalescedBody`] keeps a stream of small events from costing an HTTP/2
//! connection when its reader stalls.
//!
//! # Clients
//!
//! With the feature `client`, a [`ThrottleLayer`] holds back calls that would be refused anyway, and a
//! [`RetryLayer`] retries refused calls within a [`RetryBudget`], no sooner than the server asks.
//! [`HttpRefusals`] and [`GrpcRefusals`] recognise a refusal, and a call that was never processed; with
//! the feature `h2` also when only HTTP/2 says so. [`GrpcRefusals`] shows where the layers belong around
//! a tonic client.
//!
//! # Batched calls
//!
//! With the feature `batch`, a [`BatchLayer`] makes a service of single calls out of one that answers
//! many requests at once (a query with many keys, a model, a bulk method): `Service<Vec<Req>>` becomes
//! `Service<Req>`. Callers do not know of one another. Nobody waits for a batch to fill unless asked to;
//! batches form by themselves while the service is busy. The queue is bounded and has a gauge. A caller
//! that goes away is not executed. [`Batch::handle`] changes a batcher that is in use.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "batch")]
mod batch;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "serde")]
mod external;
#[cfg(feature = "shed")]
mod hash;
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
    Answers, Batch, BatchDrain, BatchDrainReport, BatchError, BatchFuture, BatchHandle, BatchLayer, BatchLayerBuilder,
    BatchWorker, BatcherConfig, Fallback,
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
#[cfg(feature = "axum")]
pub use respond::ByRoute;
#[cfg(feature = "grpc")]
pub use respond::{ByMethod, Grpc};
#[cfg(feature = "http")]
pub use respond::{CoalescedBody, HeldBody, Http, Linger, Lingers, NoLinger, RefusedExt, RequestHeaders};
#[cfg(feature = "shed")]
pub use shed::{
    Action, ByClass, ByLevel, ByOutcome, ByTenant, ByWaitTimeout, Bypass, Class, Classify, Drain, LingerCounts,
    Lingering, Plain, Policy, Responder, Shed, ShedCounts, ShedDrainReport, ShedError, ShedFuture, ShedHandle,
    ShedLayer, ShedLayerBuilder, TenantLevels, is_timeout,
};

/// The README's example compiles and runs.
#[cfg(all(doctest, feature = "client", feature = "shed", feature = "tonic"))]
#[doc = include_str!("../README.md")]
struct Readme;
