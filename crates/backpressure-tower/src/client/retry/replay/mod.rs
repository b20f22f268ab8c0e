//! Requests of HTTP, whose bodies are kept while they are sent.

mod body;
mod http;
mod record;
#[cfg(feature = "tonic")]
mod tonic;

pub use body::ReplayBody;
pub use http::ReplayHttp;
#[cfg(feature = "tonic")]
pub use tonic::ReplayTonic;
