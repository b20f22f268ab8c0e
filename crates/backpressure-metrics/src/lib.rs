//! The pressure of a whole pipeline, for any dashboard.
//!
//! ```text
//!  gauges, layers, budgets ──add──▶ Registry ──observe──▶ Observation ──▶ Prometheus text
//!          └────────link─────────────▲                    (plain values)
//! ```
//!
//! A [`Registry`] knows the parts of a pipeline by name, and which feeds which. It [observes](Registry::observe) them all at one
//! instant, without a lock that any of them needs: states, the fates of items, latencies in buckets, where the time goes, and
//! the [bottleneck](backpressure_core::bottleneck). Whatever is shown anywhere is a rendering of that [`Observation`].
//!
//! Anything that implements [`Instrument`](backpressure_core::Instrument) can be a part: every
//! [`Gauge`](backpressure_core::Gauge) does, and so do the handles of the layers.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "dashboard")]
pub mod dashboard;
mod error;
#[cfg(feature = "metrics")]
pub mod facade;
mod links;
mod name;
mod observation;
#[cfg(feature = "opentelemetry")]
pub mod otel;
pub mod prometheus;
mod registry;
#[cfg(feature = "http")]
mod scrape;
mod series;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod since;
mod slot;
#[cfg(feature = "tracing")]
pub mod trace;

#[cfg(feature = "dashboard")]
pub use dashboard::{Dashboard, dashboard};
pub use error::RegisterError;
pub use observation::{Observation, PartObservation};
pub use registry::{Part, Registry};
#[cfg(feature = "http")]
pub use scrape::scrape;
pub use series::Series;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
