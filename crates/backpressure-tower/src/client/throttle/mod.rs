//! The adaptive throttle of those who call.

mod error;
mod future;
mod layer;
mod rule;
mod service;

pub use error::ThrottleError;
pub use future::ThrottleFuture;
pub use layer::ThrottleLayer;
pub use service::Throttle;
