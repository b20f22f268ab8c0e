//! A cell that is written once, in a form that loom can see.

use std::sync::PoisonError;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};

/// What `std::sync::OnceLock` is: loom does not know that whoever sees its value sees what was done before.
#[derive(Debug)]
pub struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: AtomicBool,
    initializing: Mutex<()>,
}

impl<T> OnceLock<T> {
    #[allow(clippy::new_without_default, reason = "as much of std's as the models need")]
    pub fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), is_set: AtomicBool::new(false), initializing: Mutex::new(()) }
    }

    pub fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _alone = self.initializing.lock().unwrap_or_else(PoisonError::into_inner);
        let value = self.value.get_or_init(init);
        self.is_set.store(true, Ordering::Release);
        value
    }
}
