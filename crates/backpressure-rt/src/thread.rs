//! A number for the thread that asks.

#[cfg(not(backpressure_loom))]
mod number {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static NEXT: AtomicUsize = AtomicUsize::new(1);

    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(0) };
    }

    /// A number for the calling thread, for what is kept once for each of a few threads. Threads are numbered from 1, in the
    /// order in which they first ask; no other thread has had the same number. Costs no locked instruction after the first
    /// time.
    #[inline]
    pub fn thread_number() -> usize {
        if MINE.get() == 0 {
            MINE.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        MINE.get()
    }

    /// The same, or 0 if this thread has not asked for it yet.
    #[inline]
    pub fn known_thread_number() -> usize {
        MINE.get()
    }
}

/// Starts anew in every execution of a model, so that it can be repeated.
#[cfg(backpressure_loom)]
mod number {
    use loom::sync::atomic::{AtomicUsize, Ordering};

    loom::lazy_static! {
        static ref NEXT: AtomicUsize = AtomicUsize::new(1);
    }

    loom::thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }

    /// A number for the calling thread of the model.
    pub fn thread_number() -> usize {
        MINE.with(|number| *number)
    }

    /// The same: in a model each thread has one from its start.
    pub fn known_thread_number() -> usize {
        thread_number()
    }
}

pub use number::{known_thread_number, thread_number};
