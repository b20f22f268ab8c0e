//! Blocking sends, for plain threads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::parker::Parker;

/// Polls `future` until it is ready; the thread sleeps in between. Nothing is allocated if it is ready at once.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    // A waker of this wait alone: a hook that blocks within a poll must not take the wake that is meant for this one.
    let parker = Parker::new();
    let waker = Waker::from(parker.clone());
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        parker.park();
    }
}

/// Whether this thread drives a tokio runtime, so that to block it would keep other tasks from running, and for ever if what
/// is waited for is one of them.
///
/// Tokio tells whether a thread is in the context of a runtime, but so is one of `spawn_blocking`, where blocking is right. It
/// tells those apart only by a panic where somebody blocks. So somebody does, for no time. The panic is caught, and reported
/// on stderr as panics are.
#[cfg(feature = "tokio")]
pub(crate) fn drives_a_runtime() -> bool {
    let Ok(handle) = tokio::runtime::Handle::try_current() else { return false };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handle.block_on(std::future::ready(())))).is_err()
}

#[cfg(not(feature = "tokio"))]
pub(crate) const fn drives_a_runtime() -> bool {
    false
}

#[cfg(all(test, feature = "tokio", not(backpressure_loom)))]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::task::{block_in_place, spawn, spawn_blocking};

    use super::*;

    /// Ready at the third poll. After each of the others a thread wakes it.
    fn woken_by_a_thread(polls: &mut u32) -> impl Future<Output = ()> + Unpin {
        poll_fn(move |cx| {
            *polls += 1;
            if *polls == 3 {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        })
    }

    #[test]
    fn w3_a_thread_polls_once_for_each_wake() {
        let mut polls = 0;
        block_on(woken_by_a_thread(&mut polls));
        assert_eq!(polls, 3, "first without a waker, then with one, then for its wake");
    }

    #[test]
    fn w5_one_that_blocks_in_a_poll_leaves_the_outer_wake_alone() {
        let (wakers, woken) = mpsc::channel::<Waker>();
        let mut polls = 0;
        block_on(poll_fn(|cx| {
            polls += 1;
            if polls < 3 {
                wakers.send(cx.waker().clone()).unwrap();
                let waker = woken.recv().unwrap();
                waker.wake(); // the outer wake comes before the inner wait
                block_on(woken_by_a_thread(&mut 0));
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        assert_eq!(polls, 3);
    }

    #[test]
    fn only_a_thread_that_runs_tasks_drives_a_runtime() {
        assert!(!drives_a_runtime());
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            let runtime = builder.worker_threads(2).build().unwrap();
            assert!(runtime.block_on(async { drives_a_runtime() }));
            assert!(runtime.block_on(async { spawn(async { drives_a_runtime() }).await.unwrap() }));
            assert!(!runtime.block_on(async { spawn_blocking(drives_a_runtime).await.unwrap() }));
            let _context = runtime.enter();
            assert!(!drives_a_runtime(), "it has a context and drives nothing");
        }
        let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        assert!(!runtime.block_on(async { spawn(async { block_in_place(drives_a_runtime) }).await.unwrap() }));
    }
}
