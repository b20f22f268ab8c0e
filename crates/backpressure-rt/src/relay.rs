//! The user's code, called for several of them in a row.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// What a panic left, to be [resumed](resume_unwind) or dropped.
pub type Panic = Box<dyn Any + Send>;

/// Makes a call of the user's code, which may panic.
///
/// # Errors
///
/// What the panic left.
pub fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(call))
}

/// Drops what is the user's and concerns nobody else any more, nor does a panic of its `Drop`.
pub fn discard<T>(value: T) {
    if let Err(panic) = guarded(|| drop(value)) {
        // What it carries is the user's, too, and may panic where it is dropped.
        std::mem::forget(panic);
    }
}

/// Makes calls of the user's code each of which is made whatever the others do. The first panic goes on afterwards.
#[derive(Debug, Default)]
#[must_use = "a panic is lost unless it is resumed"]
pub struct Relay(Option<Panic>);

impl Relay {
    /// No call was made yet.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Makes a call. A panic is kept, unless there is one already.
    pub fn call(&mut self, call: impl FnOnce()) {
        if let Err(panic) = guarded(call) {
            match &mut self.0 {
                kept @ None => *kept = Some(panic),
                // It is dropped nowhere, for the reason given below.
                Some(_) => std::mem::forget(panic),
            }
        }
    }

    /// Whether one of them has panicked.
    pub const fn has_panicked(&self) -> bool {
        self.0.is_some()
    }

    /// Goes on with the first panic, if there was any, unless this thread is unwinding already: a second panic would abort
    /// the program.
    pub fn resume(self) {
        match self.0 {
            Some(panic) if !std::thread::panicking() => resume_unwind(panic),
            // What it carries is the user's, too, and may panic where it is dropped.
            Some(panic) => std::mem::forget(panic),
            None => {}
        }
    }
}

/// Wakes all of them, even if some panic. Never to be called under a lock.
///
/// # Panics
///
/// With the first panic of a waker, once all have been woken, unless this thread is unwinding already.
pub fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut relay = Relay::new();
    wakers.into_iter().for_each(|waker| relay.call(|| waker.wake()));
    relay.resume();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Panics(AtomicUsize);

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            std::panic::panic_any(n);
        }
    }

    #[test]
    fn w5_all_are_woken_and_the_first_panic_goes_on() {
        let panics = Arc::new(Panics(AtomicUsize::new(0)));
        let wakers = (0..3).map(|_| Waker::from(Arc::clone(&panics)));
        let panic = catch_unwind(AssertUnwindSafe(|| wake_all(wakers))).unwrap_err();
        assert_eq!((panic.downcast_ref(), panics.0.load(Ordering::Relaxed)), (Some(&0_usize), 3));
    }

    #[test]
    fn w5_a_waker_that_panics_while_the_thread_unwinds_ends_nothing_else() {
        struct Wakes(Arc<Panics>);
        impl Drop for Wakes {
            fn drop(&mut self) {
                wake_all([Waker::from(Arc::clone(&self.0)), Waker::from(Arc::clone(&self.0))]);
            }
        }
        let panics = Arc::new(Panics(AtomicUsize::new(0)));
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _wakes = Wakes(Arc::clone(&panics));
            std::panic::panic_any("the first");
        }));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"the first"));
        assert_eq!(panics.0.load(Ordering::Relaxed), 2);
    }
}
