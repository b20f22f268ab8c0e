//! A model of a server, and an engine that talks to it.

mod engine;
mod server;

pub(crate) use backpressure_nats::engine::{Demand, End};
pub(crate) use engine::Paper;
