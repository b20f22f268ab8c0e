//! A sequence lock: several cells read as of one instant.
//!
//! A sequence number stands beside the cells (Boehm, *Can seqlocks get along with programming language memory models?*,
//! 2012): the writer makes it odd, stores, makes it even; a reader that saw it odd or changed reads again.

use backpressure_rt::sync::{AtomicUsize, Ordering, fence, pause};

#[derive(Debug)]
pub(crate) struct Sequence(AtomicUsize);

/// Ends a write, by a panic if need be: readers would wait for ever.
struct End<'a> {
    sequence: &'a Sequence,
    even: usize,
}

impl Drop for End<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the first load in `read`. Who sees this number sees all of the stores.
        self.sequence.0.store(self.even, Ordering::Release);
    }
}

impl Sequence {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Runs `store`, whose stores may be relaxed. One writer at a time.
    #[inline]
    pub(crate) fn write<R>(&self, store: impl FnOnce() -> R) -> R {
        let sequence = self.0.load(Ordering::Relaxed);
        self.0.store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Release: pairs with the fence in `read`. Who sees one of the stores sees the odd number.
        fence(Ordering::Release);
        let _end = End { sequence: self, even: sequence.wrapping_add(2) };
        store()
    }

    /// Runs `load`, whose loads may be relaxed, until no write came between them.
    pub(crate) fn read<R>(&self, load: impl Fn() -> R) -> R {
        loop {
            // Acquire: pairs with the last store in `write`.
            let before = self.0.load(Ordering::Acquire);
            if before & 1 == 0 {
                let read = load();
                // Acquire: pairs with the fence in `write`.
                fence(Ordering::Acquire);
                if self.0.load(Ordering::Relaxed) == before {
                    return read;
                }
            }
            pause();
        }
    }
}
