//! Sinks with a bound, a policy for the bound, and a pressure signal.
//!
//! ```text
//!                       BackpressureSink
//!            poll_ready ┌──────────────────┐ poll_ready
//!  Stream ─────────────▶│ capacity, weight │────────────▶ any Sink, or ServiceSink over any tower Service,
//!  your code ◀─────────│ strategy         │◀──────────── or BatchingSink before any Sink<Vec<T>>
//!      Pending · item   └────────┬─────────┘ Pending
//!      back · drop counted     Gauge: Normal · Elevated · Critical · Blocked · Draining
//! ```
//!
//! * [`BackpressureSink`] puts a bounded buffer in front of any [`Sink`](futures_sink::Sink). What it does when it is full is
//!   its [`Strategy`](backpressure_core::Strategy); how full it is, and what has become of every item, stands in its
//!   [`Gauge`](backpressure_core::Gauge). Items may be [weighed](backpressure_core::Weigh), ranked, and handed to a hook when they are lost.
//! * [`ServiceSink`] is a sink made of any tower service, with so many calls in flight at most.
#![cfg_attr(
    feature = "time",
    doc = "* [`BatchingSink`] gathers items for a sink of `Vec`s: by number, weight, linger, or when nothing more comes."
)]
#![cfg_attr(
    not(feature = "time"),
    doc = "* `BatchingSink` (feature `time`) gathers items for a sink of `Vec`s: by number, weight, linger, or quiet."
)]
//!
//! They compose, because each keeps to the contract of a sink and adds to it: readiness is asked for only when there is an
//! item, and given only when there is room; pending means that something will wake the task; an error surfaces once and
//! says what it cost.
//!
//! # Who empties the buffer
//!
//! A sink works when it is polled. `forward`, `send_all` and `send` poll until everything has gone, and flush when their
//! source pauses. Whoever sends by hand with `feed` and then does something else leaves a tail behind: then
//! [`drive`](BackpressureSink::drive) the sink. The [`Driver`] is a future that delivers and flushes in a task of its own, or
//! beside yours; the [`Driven`] handle is what you send to.
//!
//! # Example
//!
//! Pressure from a service to a source, through `poll_ready` alone:
//!
//! ```
//! use backpressure_core::{BackpressureConfig, State};
//! use backpressure_sink::{BackpressureSinkExt, ServiceSink};
//! use futures_util::{StreamExt, stream};
//! use tower::service_fn;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = service_fn(|row: String| async move {
//!     tokio::task::yield_now().await; // a round trip
//!     Ok::<_, std::io::Error>(row.len())
//! });
//! let sink = ServiceSink::new(database)
//!     .concurrency(4)?
//!     .bounded(BackpressureConfig::builder().capacity(100).max_weight(4096).build()?)
//!     .weigh_bytes();
//! let gauge = sink.gauge();
//!
//! let rows = stream::iter(0..1000).map(|n| format!("row {n}")); // read no faster than it is written
//! rows.map(Ok).forward(sink).await?;
//! assert_eq!(gauge.snapshot().counts.delivered, 1000);
//! assert_eq!(gauge.state(), State::Draining);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! None is on by default, and without them there is no runtime among the dependencies. `time`: `BatchingSink`, and tokio's
//! clock for all instruments. `rt`: [`BackpressureSink`]`::spawn`. `bytes`: [`Weigh`](backpressure_core::Weigh) for `Bytes` and `BytesMut`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "time")]
mod batching;
mod books;
mod both;
mod closures;
mod driven;
mod driver;
mod error;
mod expired;
mod expiry;
mod ext;
mod hand;
mod link;
mod phase;
mod progress;
mod queue;
mod service;
mod sink;
mod wait;
mod way;

#[cfg(feature = "time")]
pub use batching::BatchingSink;
pub use driven::Driven;
pub use driver::Driver;
pub use error::BackpressureSinkError;
pub use ext::BackpressureSinkExt;
pub use service::ServiceSink;
pub use sink::BackpressureSink;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
