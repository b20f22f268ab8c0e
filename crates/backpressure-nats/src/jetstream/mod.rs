//! JetStream as an [engine](crate::engine).

mod builder;
mod connection;
mod letters;
mod reply;
mod status;

pub use builder::{PullBuilder, PullError};
pub use connection::{DeliveryKey, JetStreamEngine};
