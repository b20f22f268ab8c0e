//! The user's code, called for several of them in a row.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// Makes calls of the user's code each of which is made whatever the others do. The first panic goes on afterwards.
#[derive(Debug, Default)]
#[must_use = "a panic is lost unless it is resumed"]
pub struct Relay(Option<Box<dyn Any + Send>>);

impl Relay {
    /// No call was made yet.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Makes a call. A panic is kept, unless there is one already.
    pub fn call(&mut self, call: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
            match &mut self.0 {
                kept @ None => *kept = Some(panic),
                // What it carries is the user's, too, and may panic where it is dropped.
                Some(_) => std::mem::forget(panic),
            }
        }
    }

    /// Goes on with the first panic, if there was any.
    pub fn resume(self) {
        if let Some(panic) = self.0 {
            resume_unwind(panic);
        }
    }
}

/// Wakes all of them, even if some panic. Never to be called under a lock.
///
/// # Panics
///
/// With the first panic of a waker, once all have been woken.
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
}
