//! Backpressure for async Rust: bounded buffers with a policy, a pressure signal, batches, load
//! shedding, graceful drain, and counters that account for every item.
//!
//! # A controller
//!
//! Many producers, one target that takes batches. `push` waits while the buffer is full, failed
//! batches are retried, and `drain` reports what became of everything.
//!
//! ```
//! use std::time::Duration;
//! use backpressure::prelude::*;
//!
//! # #[derive(Clone)]
//! # struct Database;
//! # impl Database {
//! #     async fn insert(&self, _rows: &[String]) -> std::io::Result<()> { Ok(()) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let database = Database;
//! let config = BackpressureConfig::builder().capacity(10_000).batch_items(500).build()?;
//! let controller = BackpressureController::builder(config)
//!     .flush_fn(move |rows: Vec<String>| {
//!         let database = database.clone(); // one handle per batch
//!         async move { database.insert(&rows).await }
//!     })
//!     .retry([Duration::from_millis(50), Duration::from_secs(1)])
//!     .spawn()?;
//!
//! controller.push("a row".to_owned()).await?;
//! let report = controller.drain(Duration::from_secs(5)).await;
//! assert_eq!((report.delivered, report.is_complete()), (1, true));
//! # Ok(())
//! # }
//! ```
//!
//! # A stream
//!
//! Any stream gains a bounded buffer that reads ahead, and batches whose deadlines hold. Any tower
//! service becomes a sink.
//!
//! ```
//! use backpressure::prelude::*;
//! use futures_util::{StreamExt, stream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let insert = tower::service_fn(async |rows: Vec<u64>| Ok::<_, std::io::Error>(rows.len()));
//! let batches = stream::iter(0..1_000)
//!     .backpressure(BackpressureConfig::builder().capacity(500).build()?)
//!     .micro_batch(BatchConfig::builder().max_items(100).build()?);
//! batches.map(Ok).forward(ServiceSink::new(insert).concurrency(2)?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # A server
//!
//! A layer limits the requests in flight to what the server can handle, and refuses the rest at once
//! with 503 and a computed `Retry-After`. It needs the feature `http`; gRPC needs `grpc`.
//!
#![cfg_attr(feature = "http", doc = "```no_run")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use backpressure::prelude::*;
//! use backpressure::layers::RequestHeaders;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shed = ShedLayer::adaptive()
//!     .classify(RequestHeaders::new().exempt("/health"))
//!     .into_http();
//! let app = Router::new()
//!     .route("/report", get(async || "a report\n"))
//!     .route("/health", get(async || "ok\n"))
//!     .layer(shed);
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which one do I need?
//!
//! | you have … | take | feature |
//! |---|---|---|
//! | many producers, and something that writes batches | [`BackpressureController`] | `controller` |
//! | a producer and a consumer in tasks of their own | [`channel()`] | `channel` |
//! | a stream that is faster than its consumer | [`.backpressure(cfg)`](BackpressureStreamExt::backpressure), [`.micro_batch(cfg)`](BackpressureStreamExt::micro_batch) | `stream` |
//! | a sink or a service that is slower than its producer | [`.bounded(cfg)`](BackpressureSinkExt::bounded), [`ServiceSink`] | `sink` |
//! | a server that must stay useful under overload | [`ShedLayer`] | `tower`, with `http` or `grpc` |
//! | single calls that could be one batched call | [`BatchLayer`] | `tower` |
//! | a client of an overloaded service | [`ThrottleLayer`], [`RetryLayer`] | `tower`, with `http` or `grpc` |
//! | a service that must shut down within a grace period | [`GracefulShutdown`] | `shutdown` |
//! | an error in a handler that needs an HTTP or gRPC answer | [`RefusedExt`] | `http` or `grpc` |
//! | dashboards, alerts, and the part that holds up the others | [`Registry`] | `metrics`, with `dashboard` or an exporter's |
//! | a runtime, a lock or a clock of your own | [`BoundedBuffer`](core::BoundedBuffer), [`BatchAccumulator`](core::BatchAccumulator), [`FlushPacer`](core::FlushPacer) | always there |
//!
//! Every part that holds items has a [`Gauge`]. Its [`State`] is `Normal`, `Elevated`, `Critical`,
//! `Blocked` or `Draining`; its [`Snapshot`] accounts for every item. A full buffer does what its
//! [`Strategy`] says: wait, drop, sample or reject.
//!
//! The names that most programs need are here and in the [`prelude`]. The rest is in the modules.
//! Each module is a crate that can be used alone.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(inline)]
pub use backpressure_core as core;
#[doc(inline)]
pub use backpressure_core::{
    BackpressureConfig, BatchConfig, BufferHandle, ConfigError, Counts, DropReason, Gauge, Health, Priority, Snapshot,
    State, Strategy,
};

#[cfg(feature = "channel")]
#[doc(inline)]
pub use backpressure_channel::{self as channel, ChannelHandle, Receiver, SendError, Sender, Sent, channel};
#[cfg(feature = "controller")]
#[doc(inline)]
pub use backpressure_controller::{
    self as controller, BackpressureController, ControllerHandle, DrainReport, FlushError, FlushOutcome,
};
// Not `metrics`, for the same reason as below.
#[cfg(feature = "metrics")]
#[doc(inline)]
pub use backpressure_metrics::{self as registry, Registry};
#[cfg(feature = "shutdown")]
#[doc(inline)]
pub use backpressure_shutdown::{self as shutdown, GracefulShutdown, Shutdown};
#[cfg(feature = "sink")]
#[doc(inline)]
pub use backpressure_sink::{self as sink, BackpressureSink, BackpressureSinkError, BackpressureSinkExt, ServiceSink};
#[cfg(feature = "stream")]
#[doc(inline)]
pub use backpressure_stream::{self as stream, BackpressureStreamExt};
// Not `tower`: a glob import of this crate would hide the crate of that name.
#[cfg(feature = "tower")]
#[doc(inline)]
pub use backpressure_tower::{
    self as layers, BatchError, BatchLayer, Overloaded, RetryLayer, ShedError, ShedLayer, ThrottleError, ThrottleLayer,
};

#[cfg(feature = "http")]
#[doc(inline)]
pub use backpressure_tower::RefusedExt;

pub mod prelude;

/// The README's examples compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
