//! The adaptive throttle of those who call.

mod error;
mod future;
mod layer;
mod not_tried;
mod rule;
mod service;
mod shared;

pub use error::ThrottleError;
pub use future::ThrottleFuture;
pub use layer::ThrottleLayer;
pub use not_tried::NotTried;
pub use service::Throttle;
