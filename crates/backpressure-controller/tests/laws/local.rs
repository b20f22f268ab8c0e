//! A controller on the thread of a `LocalSet`: items, flushes and hooks that are not `Send`, and the same laws.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushError, FlushOutcome, Here, Verdict};
use backpressure_core::DropReason;
use tokio::task::LocalSet;

use crate::support::{Error, INTERVAL, MS, advance, config, runtime, settle};

type Item = Rc<u32>;
type List<X> = Rc<RefCell<Vec<X>>>;
type Answer = Result<FlushOutcome<Item, Error>, Error>;

/// What it wrote, and what failed for good.
#[derive(Default, Clone)]
struct Seen {
    calls: List<Vec<u32>>,
    failed: List<(Vec<u32>, FlushError<Error>)>,
}

/// Batches of two, retried once; `answer` is asked about each.
fn spawn(seen: &Seen, answer: impl AsyncFn(Vec<Item>) -> Answer + Clone + 'static) -> BackpressureController<Item> {
    let Seen { calls, failed } = seen.clone();
    BackpressureController::builder(config(100, 2).build().unwrap())
        .flush_fn(move |batch: Vec<Item>| {
            calls.borrow_mut().push(batch.iter().map(|item| **item).collect());
            let answer = answer.clone();
            async move { answer(batch).await }
        })
        .concurrency(2)
        .retry([MS])
        .local()
        .on_failed(move |items, error| failed.borrow_mut().push((items.iter().map(|item| **item).collect(), error)))
        .judge_by({
            let judged = Rc::new(());
            move |error| {
                let _ = &judged;
                if *error == "final" { Verdict::Final } else { Verdict::Retry }
            }
        })
        .spawn()
        .unwrap()
}

fn run<F: Future>(test: F) -> F::Output {
    let local = LocalSet::new();
    runtime().block_on(local.run_until(test))
}

#[test]
fn c2_every_item_that_is_not_send_has_one_fate() {
    run(async {
        let seen = Seen::default();
        let controller = spawn(&seen, async |batch: Vec<Item>| {
            tokio::task::yield_now().await;
            match *batch[0] {
                2 => Err("again"),
                4 => Err("final"),
                6 => panic!("as told"),
                8 => Ok(FlushOutcome::partial(vec![(batch[1].clone(), "item")])),
                _ => Ok(FlushOutcome::delivered()),
            }
        });
        for item in 0..10 {
            controller.push(Rc::new(item)).await.unwrap();
        }
        let report = controller.drain(Duration::from_secs(1)).await;
        assert!(report.is_complete());
        let mut failed = seen.failed.take();
        failed.sort_by_key(|(items, _)| items.clone());
        let lost = [(vec![2, 3], "again"), (vec![4, 5], "final")];
        assert_eq!(failed[0], (lost[0].0.clone(), FlushError::Batch(lost[0].1)));
        assert_eq!(failed[1], (lost[1].0.clone(), FlushError::Final(lost[1].1)));
        assert_eq!(failed[2], (vec![6, 7], FlushError::Panicked));
        let counts = controller.snapshot().counts;
        assert_eq!(
            (counts.delivered, counts.failed(), counts.balances()),
            (4, 6, true),
            "9 was delivered by its retry"
        );
        assert_eq!(seen.calls.borrow().len(), 5 + 3, "each once, and three once more");
    });
}

#[test]
fn t7_a_drain_hands_back_copies_of_what_never_answers() {
    run(async {
        let seen = Seen::default();
        let controller = spawn(&seen, async |_| std::future::pending().await);
        for item in 0..5 {
            controller.push(Rc::new(item)).await.unwrap();
        }
        let report = controller.drain(INTERVAL).await;
        assert_eq!(report.abandoned.iter().map(|item| **item).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((report.unanswered, report.still_running, report.elapsed), (0, 0, INTERVAL));
    });
}

#[test]
fn t9_t6_the_rest_is_flushed_when_the_last_handle_goes_and_nothing_is_kept() {
    let seen = Seen::default();
    run(async {
        let controller = spawn(&seen, async |_| Ok(FlushOutcome::delivered()));
        controller.push(Rc::new(1)).await.unwrap();
        drop(controller);
        settle().await;
        assert_eq!(*seen.calls.borrow(), [[1]]);
        assert_eq!((Rc::strong_count(&seen.calls), Rc::strong_count(&seen.failed)), (1, 1));
    });
}

#[test]
fn c1_what_is_in_flight_when_the_local_set_is_dropped_is_counted() {
    let seen = Seen::default();
    let local = LocalSet::new();
    let controller = runtime().block_on(local.run_until(async {
        let controller = spawn(&seen, async |_| std::future::pending().await);
        for item in 0..5 {
            controller.push(Rc::new(item)).await.unwrap();
        }
        advance(MS).await;
        controller
    }));
    drop(local);
    let counts = controller.snapshot().counts;
    assert_eq!((counts.lost(DropReason::Closed), counts.queued, counts.in_flight), (5, 0, 0));
    assert!(counts.balances());
    assert_eq!(Rc::strong_count(&seen.calls), 1);
}

#[test]
fn x2_a_barrier_on_a_local_set() {
    run(async {
        let seen = Seen::default();
        let controller = spawn(&seen, async |_| {
            tokio::time::sleep(INTERVAL).await; // tidy: paused clock
            Ok(FlushOutcome::delivered())
        });
        controller.push(Rc::new(1)).await.unwrap();
        controller.flush().await.unwrap();
        assert_eq!(controller.snapshot().counts.delivered, 1);
    });
}

#[test]
fn i4_what_is_not_send_needs_a_home_here() {
    fn is_local<T, S: tower::Service<Vec<T>>>(_: &backpressure_controller::FlushBuilder<T, S, Here>) {}
    let builder = BackpressureController::builder(config(100, 2).build().unwrap());
    is_local(&builder.flush_fn(async |_: Vec<Item>| Ok::<_, Error>(())).local());
}
