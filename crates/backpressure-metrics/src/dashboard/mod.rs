//! A page that shows where the bottleneck is, for any axum server.
//!
//! ```text
//!  Registry ──observe, once a second──▶ one sampler ──▶ ten minutes of history
//!                                            └─ events ─▶ page, page, page …   (none open: no sampler)
//! ```
//!
//! The page draws the pipeline as a graph, with the states of the parts and what is blocked by what; and of each part its fill,
//! what comes in, goes out and is lost over the last ten minutes, its latencies, its ledger, and its limit against its load. It is
//! one file that loads nothing from anywhere, in dark and light, for a phone as well, and for keyboards and screen readers.
//!
//! ```no_run
//! use axum::Router;
//! use backpressure_metrics::{Registry, dashboard};
//!
//! # async fn serve() -> std::io::Result<()> {
//! let registry = Registry::new();
//! let app: Router = Router::new().nest("/pressure", dashboard(&registry));
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await
//! # }
//! ```
//!
//! * It is read-only, binds nothing by itself, and tells names, counts and times, never what is in an item. Whoever may not know
//!   those should not reach the route: that is the server's to see to.
//! * Mount it beside the layers that shed, not under them: one wants to see it most when they do. With `nest_service` instead of
//!   `nest` the page answers to `/pressure/`, too.
//! * A page's events never end by themselves, so a graceful shutdown would wait for the pages: [`Dashboard::close`] ends them.
//! * The first 500 parts are shown. Ten minutes of a part take less than 20 kB, or 45 kB if it has latencies, once there was a page.

mod events;
mod fields;
mod history;
mod hub;
mod known;
mod number;
mod page;
mod recording;
mod router;
mod sample;
mod sampler;
mod sentence;
mod tick;
mod whole;

pub use recording::Recording;
pub use router::{Dashboard, dashboard};
