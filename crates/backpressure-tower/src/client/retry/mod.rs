//! Retries that do not make an overload worse.

mod backoff;
mod budget;
mod future;
mod layer;
mod plan;
mod rule;
mod service;

pub use budget::RetryBudget;
pub use future::RetryFuture;
pub use layer::RetryLayer;
pub use service::Retry;
