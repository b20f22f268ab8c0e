//! A number for the thread that asks.

#[cfg(not(backpressure_loom))]
mod number {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static NEXT: AtomicUsize = AtomicUsize::new(1);

    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(0) };
    }

    /// The number of this thread: no other thread has it or has had it, and it is not 0.
    #[inline]
    pub(in super::super) fn thread_number() -> usize {
        match MINE.get() {
            0 => first_time(),
            number => number,
        }
    }

    #[cold]
    fn first_time() -> usize {
        MINE.set(NEXT.fetch_add(1, Ordering::Relaxed));
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

    pub(in super::super) fn thread_number() -> usize {
        MINE.with(|number| *number)
    }
}

pub(super) use number::thread_number;
