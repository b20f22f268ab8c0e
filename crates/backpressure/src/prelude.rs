//! What most programs need: `use backpressure::prelude::*`.

pub use crate::{BackpressureConfig, BatchConfig, DropReason, Gauge, Priority, Snapshot, State, Strategy};

// The function alone: by way of the crate's root the module of that name would come along.
#[cfg(feature = "stream")]
pub use crate::BackpressureStreamExt;
#[cfg(feature = "http")]
pub use crate::RefusedExt;
#[cfg(feature = "controller")]
pub use crate::{BackpressureController, DrainReport, FlushError, FlushOutcome};
#[cfg(feature = "sink")]
pub use crate::{BackpressureSink, BackpressureSinkExt, ServiceSink};
#[cfg(feature = "tower")]
pub use crate::{BatchLayer, Overloaded, RetryLayer, ShedLayer, ThrottleLayer};
#[cfg(feature = "shutdown")]
pub use crate::{GracefulShutdown, Shutdown};
#[cfg(feature = "channel")]
pub use backpressure_channel::{Receiver, SendError, Sender, Sent, channel};
