//! A sequence lock: several cells read as of one instant.
//!
//! A sequence number stands beside the cells (Boehm, *Can seqlocks get along with programming language memory models?*,
//! 2012): the writer makes it odd, stores, makes it even; a reader that saw it odd or changed reads again.

use backpressure_rt::sync::{AtomicUsize, Ordering, fence, pause};

#[derive(Debug)]
pub(crate) struct Sequence(AtomicUsize);

impl Sequence {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Runs `store`, whose stores may be relaxed. One writer at a time.
    #[inline]
    pub(crate) fn write<R>(&self, store: impl FnOnce() -> R) -> R {
        let sequence = self.0.load(Ordering::Relaxed);
        self.0.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let stored = store();
        self.0.store(sequence.wrapping_add(2), Ordering::Release);
        stored
    }

    /// Runs `load`, whose loads may be relaxed, until no write came between them.
    pub(crate) fn read<R>(&self, load: impl Fn() -> R) -> R {
        loop {
            let before = self.0.load(Ordering::Acquire);
            if before & 1 == 0 {
                let read = load();
                fence(Ordering::Acquire);
                if self.0.load(Ordering::Relaxed) == before {
                    return read;
                }
            }
            pause();
        }
    }
}
