//! Publishing within a bound.

mod outgoing;
mod publish;
mod unconfirmed;
mod verdict;
mod watch;

pub use outgoing::Outgoing;
pub use publish::{JetStreamSink, SinkBuilder, SinkError};
pub use unconfirmed::SinkCounts;
