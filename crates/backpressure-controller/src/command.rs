//! The commands from a handle to the worker.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::drain::Parcel;

/// How long a drain waits, beyond its deadline, for the flushes that it aborted.
pub(crate) const STOPPING: Duration = Duration::from_millis(50);

/// What a handle may ask of the worker.
pub(crate) enum Command<T> {
    Flush(oneshot::Sender<()>),
    /// The channel has another configuration.
    Reconfigured,
    /// So many batches may be in flight.
    Concurrency(usize),
    Drain {
        began: Instant,
        deadline: Option<Instant>,
        done: oneshot::Sender<Parcel<T>>,
    },
}
