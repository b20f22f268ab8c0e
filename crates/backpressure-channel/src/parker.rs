//! A thread that sleeps until it is woken.

use std::sync::Arc;
use std::task::Wake;

#[cfg(not(backpressure_loom))]
pub(crate) struct Parker {
    thread: std::thread::Thread,
    woken: std::sync::atomic::AtomicBool,
}

#[cfg(not(backpressure_loom))]
impl Parker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { thread: std::thread::current(), woken: false.into() })
    }

    /// Sleeps until it was woken since the last time.
    pub(crate) fn park(&self) {
        while !self.woken.swap(false, std::sync::atomic::Ordering::Acquire) {
            std::thread::park();
        }
    }
}

#[cfg(not(backpressure_loom))]
impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, std::sync::atomic::Ordering::Release);
        self.thread.unpark();
    }
}

/// Loom's, whose deadlocks loom finds.
#[cfg(backpressure_loom)]
pub(crate) struct Parker(loom::sync::Notify);

#[cfg(backpressure_loom)]
impl Parker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(loom::sync::Notify::new()))
    }

    pub(crate) fn park(&self) {
        self.0.wait();
    }
}

#[cfg(backpressure_loom)]
impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}
