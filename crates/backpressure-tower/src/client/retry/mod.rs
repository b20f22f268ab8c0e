//! Retries that do not make an overload worse.

mod backoff;
mod budget;
mod future;
mod keep;
mod layer;
mod plan;
#[cfg(feature = "http")]
mod replay;
mod rule;
mod service;
mod tally;
mod why;

pub use budget::RetryBudget;
pub use future::RetryFuture;
pub use keep::{CloneBy, Cloned, Keep, Note};
pub use layer::RetryLayer;
#[cfg(feature = "tonic")]
pub use replay::ReplayTonic;
#[cfg(feature = "http")]
pub use replay::{ReplayBody, ReplayHttp};
pub use service::Retry;
pub use why::{NotRetried, RetryCounts};
