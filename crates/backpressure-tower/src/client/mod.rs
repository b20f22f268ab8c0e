//! For those who call: throttle and retry budget.

#[cfg(feature = "http")]
mod advice;
#[cfg(feature = "http")]
mod chain;
#[cfg(feature = "grpc")]
mod code;
#[cfg(feature = "grpc")]
mod details;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod retry;
mod throttle;
#[cfg(feature = "tonic")]
mod tonic;
mod verdict;
mod window;

#[cfg(feature = "grpc")]
pub use grpc::GrpcRefusals;
#[cfg(feature = "http")]
pub use http::HttpRefusals;
pub use retry::{Retry, RetryBudget, RetryFuture, RetryLayer};
pub use throttle::{NotTried, Throttle, ThrottleError, ThrottleFuture, ThrottleLayer};
pub use verdict::{ErrorsAreRefusals, Judge, Verdict};
