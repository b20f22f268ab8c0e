//! Flushes that cannot be stopped, or not at once, on a runtime with threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use backpressure_controller::BackpressureController;

use crate::support::{MS, config};

fn push_all(controller: &BackpressureController<u32>, items: impl IntoIterator<Item = u32>) {
    items.into_iter().for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
}

/// Flushes that block their thread until they are released.
fn blocking(inside_call: bool) -> (BackpressureController<u32>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, enters) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush_fn(move |_: Vec<u32>| {
            let (entered, released) = (entered.clone(), Arc::clone(&released));
            let block = move || {
                entered.send(()).unwrap();
                let _ = released.lock().unwrap().recv();
            };
            if inside_call {
                block();
            }
            async move {
                if !inside_call {
                    block();
                }
                Ok::<_, &str>(())
            }
        })
        .spawn()
        .unwrap();
    (controller, enters, release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_it_returns_although_a_flush_blocks_the_thread_of_the_worker_or_its_own() {
    for inside_call in [true, false] {
        let (controller, enters, release) = blocking(inside_call);
        push_all(&controller, 0..15);
        tokio::task::spawn_blocking(move || enters.recv().unwrap()).await.unwrap();
        // The target is blocked until the report is there: without a report this test would not end.
        let report = controller.drain(10 * MS).await;
        assert!(!report.is_complete());
        assert_eq!(report.delivered, 0);
        match inside_call {
            true => assert_eq!((report.unanswered, report.abandoned.len()), (15, 0), "the worker cannot hand them out"),
            false => {
                assert_eq!((report.unanswered, report.abandoned), (10, Vec::from_iter(10..15)));
                assert_eq!(report.still_running, 1, "and it is named");
            }
        }
        drop(release);
    }
}

/// Counts the flushes that exist.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_t7_aborted_flushes_are_gone_when_it_returns() {
    let mut stopped = 0;
    for _ in 0..50 {
        let alive = Arc::new(AtomicUsize::new(0));
        let controller = BackpressureController::builder(config(100, 10).build().unwrap())
            .flush_fn({
                let alive = Arc::clone(&alive);
                move |_: Vec<u32>| {
                    alive.fetch_add(1, Ordering::SeqCst);
                    let guard = Alive(Arc::clone(&alive));
                    async move {
                        let _guard = guard;
                        loop {
                            tokio::task::yield_now().await;
                        }
                        #[expect(unreachable_code, reason = "it says what the loop would answer")]
                        Ok::<_, &str>(())
                    }
                }
            })
            .concurrency(4)
            .spawn()
            .unwrap();
        push_all(&controller, 0..40);
        while alive.load(Ordering::SeqCst) < 4 {
            tokio::task::yield_now().await;
        }
        let report = controller.drain(MS).await;
        assert!(alive.load(Ordering::SeqCst) <= report.still_running, "what is not gone is named");
        assert_eq!(report.unanswered, 40);
        stopped += usize::from(report.still_running == 0);
    }
    assert!(stopped > 0, "flushes that yield are stopped in time");
}
