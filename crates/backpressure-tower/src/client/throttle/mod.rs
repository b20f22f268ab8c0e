//! The adaptive throttle of a client.

mod answer;
mod error;
mod future;
#[cfg(feature = "http")]
mod http;
mod layer;
mod not_tried;
mod rule;
mod service;
mod shared;
mod tally;

pub use answer::{Answer, AsError};
pub use error::ThrottleError;
pub use future::ThrottleFuture;
#[cfg(feature = "grpc")]
pub use http::ThrottledGrpc;
#[cfg(feature = "http")]
pub use http::{ThrottleBody, ThrottledHttp};
pub use layer::ThrottleLayer;
pub use not_tried::NotTried;
pub use service::Throttle;
