//! An open stream.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::streams::Streams;
use crate::overloaded::{Overloaded, ShedReason};

/// A stream that is open: one of the [`max_streams`](super::Limiter::max_streams) of a [`Limiter`](super::Limiter).
/// Dropping it makes room for another.
///
/// It occupies no slot and is part of no latency. A drain waits for it, until its deadline.
#[must_use = "dropping it ends the stream"]
pub struct OpenStream {
    limiter: Arc<Shared>,
}

impl OpenStream {
    /// One more, unless there are as many as may be.
    ///
    /// # Errors
    ///
    /// The answer to whoever asked for it, which is not counted yet.
    pub(super) fn open(limiter: &Arc<Shared>) -> Result<Self, Overloaded> {
        let Streams { most, are_spared, spared } = &limiter.streams;
        let most = most.load(Ordering::Relaxed);
        if !limiter.signal.open_stream(most) {
            if !are_spared.load(Ordering::Relaxed) {
                return Err(limiter.too_many_streams(most));
            }
            spared.fetch_add(1, Ordering::Relaxed);
            limiter.signal.open_stream(usize::MAX);
        }
        Ok(Self { limiter: Arc::clone(limiter) })
    }
}

impl Shared {
    /// The answer to somebody who finds as many streams as may be.
    fn too_many_streams(&self, most: usize) -> Overloaded {
        let wait = self.refusals.retry_some_time(self.signal.slots().admitted_bits());
        Overloaded::new(self.state(), ShedReason::Streams, wait).with_in_flight(most)
    }

    /// Whoever waits until nothing is left is told. The look at the word has a place in the order of its changes: either
    /// it shows that the part drains, or whoever drains it sees that no stream is open.
    fn last_stream_has_ended(&self) {
        if self.signal.fence().is_draining() {
            self.idle.notify_all();
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.limiter.signal.close_stream() == 0 {
            self.limiter.last_stream_has_ended();
        }
    }
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenStream")
    }
}
