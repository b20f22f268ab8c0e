//! The answers of a shed call in HTTP and gRPC, and what their requests say about themselves.

mod body;
mod coalesced;
#[cfg(feature = "grpc")]
mod grpc;
mod headers;
mod hold;
mod http;
mod linger;
mod refused;
#[cfg(any(feature = "axum", feature = "grpc"))]
mod route;
mod wait;

pub use body::HeldBody;
pub use coalesced::CoalescedBody;
#[cfg(feature = "grpc")]
pub use grpc::Grpc;
#[cfg(all(feature = "client", feature = "tonic"))]
pub(crate) use grpc::{timeout as grpc_timeout, timeout_value as grpc_timeout_value};
pub use headers::RequestHeaders;
pub use http::Http;
pub use linger::{Linger, Lingers, NoLinger};
pub use refused::RefusedExt;
#[cfg(feature = "grpc")]
pub use route::ByMethod;
#[cfg(feature = "axum")]
pub use route::ByRoute;

/// The header of a gRPC answer that tells how long to wait before trying again, in milliseconds.
#[cfg(feature = "grpc")]
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";
