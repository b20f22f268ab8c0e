//! A timer of tokio's, where there is one.

use std::panic::{UnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::time::Sleep;

/// The last runtime that turned out to have no timer, so that it is not asked again for each call.
static WITHOUT_TIME: Mutex<Option<Id>> = Mutex::new(None);

/// Whether there is any, so that a program that has none takes no lock.
static IS_ANY: AtomicBool = AtomicBool::new(false);

/// What `set` makes. `None` outside of a runtime, and in one without timers (`enable_time`). Tokio tells of those by a panic only, which is caught.
pub(crate) fn alarm(set: impl FnOnce() -> Sleep + UnwindSafe) -> Option<Sleep> {
    let runtime = Handle::try_current().ok()?.id();
    let known = || WITHOUT_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if IS_ANY.load(Ordering::Relaxed) && *known() == Some(runtime) {
        return None;
    }
    let sleep = catch_unwind(set).ok();
    if sleep.is_none() {
        *known() = Some(runtime);
        IS_ANY.store(true, Ordering::Relaxed);
    }
    sleep
}
