//! Shutdown in stages, under one deadline.
//!
//! A service ends from the outside in: it takes no new requests, lets its connections end, then empties its buffers. Each stage
//! waits for something that may not come, so each needs a time limit; and limits of 5 s for each of three stages are 15 s.
//!
//! A [`GracefulShutdown`] does all of that for a service with a server: it waits for the signal, runs the stages in that order
//! under one deadline, and answers one report.
//!
//! A [`Shutdown`] is the deadline alone, for stages of your own:
//!
//! ```
//! use std::time::Duration;
//! use backpressure_shutdown::Shutdown;
//! # use tokio::time::timeout;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! # let (server, drain) = (std::future::pending::<()>(), |time| timeout(time / 2, std::future::pending::<()>()));
//! // After `backpressure_shutdown::requested()?.await`, with the feature `signal`.
//! let mut shutdown = Shutdown::new(Duration::from_secs(4), ["connections", "buffer"]);
//! let served = shutdown.stage(|time| timeout(time, server)).await; // a server that a client keeps from ending
//! let _ = shutdown.stage(|time| drain(time)).await;
//!
//! assert!(served.is_err());
//! assert_eq!(shutdown.to_string(), "shut down in 3.5 s: connections 3.0 s, buffer 500 ms");
//! # }
//! ```
//!
//! # Features
//!
//! `signal`: `requested` waits for SIGTERM or SIGINT, `GracefulShutdown::on_signal` begins with them. Off by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod graceful;
mod report;
mod servers;
mod share;
mod shutdown;
mod signal;

pub use graceful::GracefulShutdown;
pub use report::{Cause, ShutdownReport, StageReport};
pub use shutdown::Shutdown;
pub use signal::Signal;
#[cfg(feature = "signal")]
pub use signal::requested;
