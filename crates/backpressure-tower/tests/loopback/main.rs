//! Servers and clients as they are used: axum, tonic and hyper over sockets on loopback.
//!
//! Nothing here waits for time to pass. A handler stands on a [stage](kit::Stage): it announces itself, and leaves when it
//! is let go.

mod coalesced;
mod drain;
mod grpc;
mod http;
mod kit;
mod linger;
mod outcomes;
mod play;
mod releases;
mod routes;
mod shutdown;
mod stalled;
mod streams;
mod timeouts;
mod types;
