//! The text that Prometheus scrapes.
//!
//! Two formats, the classic one and OpenMetrics, under the same names: dots become underscores, the unit is the end of the name,
//! and counters end in `_total`. What a scraper accepts [says which](Format::negotiate).
//!
//! ```
//! use std::time::Instant;
//! use backpressure_metrics::{Registry, prometheus};
//!
//! # let registry = Registry::new();
//! // In the handler of `/metrics`, with the value of the request's `Accept` header:
//! let format = prometheus::Format::negotiate("*/*");
//! let body = prometheus::render(&registry.observe(Instant::now()), format);
//! let content_type = format.content_type();
//! # assert_eq!((body.as_str(), content_type), ("", "text/plain; version=0.0.4; charset=utf-8"));
//! ```

mod block;
mod blocks;
mod escape;
mod format;
mod name;
mod number;
mod pieces;
mod render;
mod tails;

pub use format::Format;
pub(crate) use name::exposed_name;
#[cfg(feature = "http")]
pub(crate) use render::pieces;
pub use render::render;
