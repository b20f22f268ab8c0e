//! A timer of tokio's, where there is one.

use std::panic::{UnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::time::Sleep;

/// Runtimes that turned out to have no timer, so that none is asked again for each wait.
static WITHOUT_TIME: Mutex<Vec<Id>> = Mutex::new(Vec::new());

/// So many of them are remembered: enough for a runtime on each core. More would only grow with each runtime there ever was.
const MOST: usize = 256;

/// Whether there is any, so that a program that has none takes no lock.
static IS_ANY: AtomicBool = AtomicBool::new(false);

/// What `set` makes. `None` outside of a runtime, and in one without timers (`enable_time`).
///
/// Tokio tells of those by a panic only, where a timer is made. It is caught, and reported on stderr as panics are, for the
/// first wait on such a runtime.
pub fn tokio_sleep(set: impl FnOnce() -> Sleep + UnwindSafe) -> Option<Sleep> {
    let runtime = Handle::try_current().ok()?.id();
    if IS_ANY.load(Ordering::Relaxed) && without_time().contains(&runtime) {
        return None;
    }
    let sleep = catch_unwind(set).ok();
    if sleep.is_none() {
        remember(runtime);
    }
    sleep
}

#[cold]
fn remember(runtime: Id) {
    let mut known = without_time();
    if known.len() == MOST {
        known.remove(0);
    }
    known.push(runtime);
    drop(known);
    IS_ANY.store(true, Ordering::Relaxed);
}

fn without_time() -> MutexGuard<'static, Vec<Id>> {
    WITHOUT_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::time::sleep;

    use super::*;

    /// Whether a wait on this runtime asks tokio for a timer, and gets one.
    fn asked_and_got(runtime: &Runtime) -> (bool, bool) {
        let _context = runtime.enter();
        let known = without_time().contains(&runtime.handle().id());
        (!known, tokio_sleep(|| sleep(Duration::ZERO)).is_some()) // tidy: paused clock
    }

    #[test]
    fn k1_each_runtime_without_a_timer_is_asked_once_however_they_take_turns() {
        let build = |has_time: bool| {
            let mut builder = Builder::new_current_thread();
            if has_time { builder.enable_time() } else { &mut builder }.build().unwrap()
        };
        let without = [build(false), build(false), build(false)];
        let with = build(true);
        assert!(without.iter().all(|runtime| asked_and_got(runtime) == (true, false)));
        for _ in 0..3 {
            assert!(without.iter().all(|runtime| asked_and_got(runtime) == (false, false)));
            assert_eq!(asked_and_got(&with), (true, true));
        }
    }

    #[test]
    fn outside_of_a_runtime_there_is_none() {
        assert!(tokio_sleep(|| sleep(Duration::ZERO)).is_none()); // tidy: paused clock
    }
}
