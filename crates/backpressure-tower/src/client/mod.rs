//! The client's side: throttle and retry budget.

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
#[cfg(feature = "tonic")]
pub use retry::ReplayTonic;
pub use retry::{CloneBy, Cloned, Keep, NotRetried, Note, Retry, RetryBudget, RetryCounts, RetryFuture, RetryLayer};
#[cfg(feature = "http")]
pub use retry::{ReplayBody, ReplayHttp};
#[cfg(feature = "grpc")]
pub use throttle::ThrottledGrpc;
pub use throttle::{Answer, AsError, NotTried, Throttle, ThrottleError, ThrottleFuture, ThrottleLayer};
#[cfg(feature = "http")]
pub use throttle::{ThrottleBody, ThrottledHttp};
pub use verdict::{ErrorsAreRefusals, Judge, Verdict};
