//! What a drain tells where the worker can no longer tell it itself, or only in part.

use std::future::{Future, pending, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

use backpressure_controller::BackpressureController;
use backpressure_core::DropReason;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Act, INTERVAL, Log, MS, Target, advance, config, runtime, settle};

fn push_all(controller: &BackpressureController<u32>, items: impl IntoIterator<Item = u32>) {
    items.into_iter().for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
}

/// A runtime whose clock is the real one.
fn real_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A runtime with a paused clock that lets the test look in between any two polls of other tasks.
fn fine_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).event_interval(1).build().unwrap()
}

/// Blocks the thread that drops it until the test lets go.
struct BlocksInDrop(Arc<Mutex<mpsc::Receiver<()>>>);

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        let _ = self.0.lock().unwrap().recv();
    }
}

#[test]
fn t7_c1_what_the_worker_gave_up_before_its_thread_was_blocked_is_in_the_report() {
    let (here, there) = (real_runtime(), Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap());
    let (entered, enters) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let lost = Log::new();
    let controller = there.block_on(async {
        BackpressureController::builder(config(100, 10).build().unwrap())
            .on_drop({
                let lost = lost.clone();
                move |item, _| lost.push(item)
            })
            .flush_fn(move |_: Vec<u32>| {
                let (entered, guard) = (entered.clone(), BlocksInDrop(Arc::clone(&released)));
                async move {
                    let _guard = guard;
                    entered.send(()).unwrap();
                    pending::<Result<(), &str>>().await
                }
            })
            .spawn()
            .unwrap()
    });
    push_all(&controller, 0..15);
    enters.recv().unwrap();
    // The thread is blocked until the report is there: without a report this test would not end.
    let report = here.block_on(controller.drain(10 * MS));
    drop(release);
    drop(there);
    let told = report.abandoned.len() as u64 + report.unanswered as u64 + report.lost;
    assert_eq!((report.delivered, report.failed, told), (0, 0, 15), "{report:?}");
    assert!(!report.is_complete());
    let handed_out = [report.abandoned, lost.take()].concat();
    assert_eq!(handed_out, [10, 11, 12, 13, 14], "each once");
}

#[test]
fn c1_c3_whenever_the_runtime_ends_around_a_deadline_the_hook_and_the_ledger_agree() {
    let mut abandoned = 0;
    for polls in 0..12 {
        let (there, lost) = (fine_runtime(), Log::new());
        let controller = there.block_on(async {
            let controller = BackpressureController::builder(config(100, 10).build().unwrap())
                .on_drop({
                    let lost = lost.clone();
                    move |item, reason| lost.push((item, reason))
                })
                .flush(Target::always(Act::Never).service())
                .keep_copies()
                .spawn()
                .unwrap();
            push_all(&controller, 0..15);
            settle().await;
            let drain = tokio::spawn({
                let controller = controller.clone();
                async move { controller.drain(INTERVAL).await }
            });
            settle().await;
            drain.abort();
            settle().await;
            tokio::time::advance(INTERVAL).await;
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
            controller
        });
        drop(there);
        let lost = lost.take();
        let counts = controller.snapshot().counts;
        for reason in [DropReason::Closed, DropReason::DrainDeadline] {
            let told = lost.iter().filter(|(_, told)| *told == reason).count() as u64;
            assert_eq!(counts.lost(reason), told, "{reason:?}, the end after {polls} polls");
        }
        let mut items: Vec<u32> = lost.into_iter().map(|(item, _)| item).collect();
        items.sort_unstable();
        assert_eq!(items, Vec::from_iter(0..15), "the end after {polls} polls");
        assert!(counts.balances());
        abandoned += counts.lost(DropReason::DrainDeadline);
        let report = runtime().block_on(controller.drain(INTERVAL));
        assert_eq!((report.lost, report.unanswered), (15, 0), "the end after {polls} polls");
    }
    assert!((1..12 * 15).contains(&abandoned), "some ends came before the deadline was noticed, some after");
}

#[tokio::test(start_paused = true)]
async fn a_flush_whose_items_are_answered_at_the_deadline_of_a_drain_is_done() {
    let target = Target::always(Act::Hold);
    let controller =
        BackpressureController::builder(config(100, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    push_all(&controller, 0..10);
    settle().await;
    let flush = tokio::spawn({
        let controller = controller.clone();
        async move { controller.flush().await }
    });
    settle().await;
    push_all(&controller, 10..20);
    let drain = tokio::spawn({
        let controller = controller.clone();
        async move { controller.drain(INTERVAL).await }
    });
    settle().await;
    tokio::time::advance(INTERVAL - MS).await;
    settle().await;
    target.answer(0, Act::Deliver);
    tokio::time::advance(MS).await;
    advance(INTERVAL).await;
    let report = drain.await.unwrap();
    assert_eq!((report.delivered, report.is_complete()), (10, false));
    assert_eq!(flush.await.unwrap(), Ok(()), "all that was accepted before it was delivered");
}

#[test]
fn t7_k1_a_drain_outside_tokio_returns_by_its_deadline_too() {
    let there = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let (entered, enters) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let controller = there.block_on(async {
        BackpressureController::builder(config(100, 10).build().unwrap())
            .flush_fn(move |batch: Vec<u32>| {
                entered.send(batch).unwrap();
                let _ = released.lock().unwrap().recv();
                ready(Ok::<_, &str>(()))
            })
            .spawn()
            .unwrap()
    });
    push_all(&controller, 0..15);
    assert_eq!(enters.recv().unwrap().len(), 10);
    // The thread is blocked until the report is there: without a report this test would not end.
    let report = block_on(controller.drain(10 * MS));
    assert_eq!((report.delivered, report.unanswered, report.is_complete()), (0, 15, false));
    drop(release);
    // Whoever asks once it is free is told of all 15, too.
    let report = block_on(controller.drain(Duration::MAX));
    assert_eq!(report.unanswered + report.abandoned.len() + report.lost as usize + report.delivered as usize, 15);
}

/// Runs a future in this thread, outside any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
