//! Items, copies of them, errors and everything else of the user whose `Drop` panics. Where several are dropped together, a
//! second panic would abort the process.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use backpressure_controller::{
    BackpressureController, ControllerBuilder, FlushBuilder, FlushError, FlushOutcome, Verdict,
};
use backpressure_core::{DropReason, Strategy};
use futures_util::FutureExt;
use tower::Service;

use crate::bombs::{Act, Answer, Arsenal, Batch, Bomb, Controller, Flush, target};
use crate::support::{INTERVAL, Log, MS, advance, config, runtime, settle};

fn spawn<S>(build: impl FnOnce(ControllerBuilder<Bomb>) -> FlushBuilder<Bomb, S>) -> Controller
where
    S: Service<Vec<Bomb>, Response = FlushOutcome<Bomb, Bomb>, Error = Bomb, Future: Send + 'static> + Send + 'static,
{
    build(BackpressureController::builder(config(1_000, 10).build().unwrap())).spawn().unwrap()
}

/// Ten items more are delivered, a drain is complete, and nothing is left.
async fn assert_well(controller: Controller, arsenal: &Arsenal, what: &str) {
    let before = controller.snapshot().counts;
    assert!(before.balances() && before.in_flight == 0 && before.queued == 0, "{what}: {before:?}");
    arsenal.push(&controller, 10);
    controller.flush().await.unwrap();
    let report = controller.drain(INTERVAL).await;
    assert!(report.is_complete(), "{what}: {} lost", report.lost);
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered - before.delivered, counts.balances()), (10, true), "{what}");
    settle().await;
    arsenal.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn s8_drops_that_panic_cost_their_own_batch_at_most_whatever_becomes_of_it() {
    let acts = [Act::Deliver, Act::Fail, Act::Partial(3), Act::Partial(25), Act::Panic, Act::Throw, Act::Careless];
    for act in acts {
        for (copies, retries, bisect) in
            [(false, 0, false), (true, 0, false), (true, 2, false), (true, 0, true), (true, 2, true)]
        {
            for hook in [false, true] {
                let (what, arsenal) = (format!("{act:?} {copies} {retries} {bisect} {hook}"), Arsenal::default());
                // Of a batch of ten every attempt and every part fails.
                let attempts = if bisect { retries + 19 } else { retries + 1 };
                let controller = spawn(|builder| {
                    let mut builder = builder.flush_fn(target(&arsenal, vec![act; attempts]));
                    if copies {
                        builder = builder.keep_copies();
                    }
                    if retries > 0 {
                        builder = builder.retry(vec![MS; retries]);
                    }
                    if bisect {
                        builder = builder.bisect();
                    }
                    if hook {
                        builder = builder.on_failed(|items, error| {
                            drop(Batch(items));
                            drop(error);
                        });
                    }
                    builder
                });
                arsenal.push(&controller, 10);
                controller.flush().await.unwrap();
                let counts = controller.snapshot().counts;
                let delivered = match act {
                    Act::Deliver => 10,
                    // What is tried again is less each time, down to the three that fail.
                    Act::Partial(3) => 7,
                    _ => 0,
                };
                assert_eq!((counts.delivered, counts.failed()), (delivered, 10 - delivered), "{what}");
                if matches!(act, Act::Deliver | Act::Partial(_)) && attempts > 1 {
                    // They are not bisected: acts are left over.
                    for _ in 0..attempts {
                        arsenal.push(&controller, 10);
                        controller.flush().await.unwrap();
                    }
                }
                assert_well(controller, &arsenal, &what).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s8_errors_and_copies_that_panic_in_their_drop_are_retried_and_delivered() {
    for act in [Act::Fail, Act::Partial(10), Act::Panic, Act::Throw, Act::Careless] {
        let arsenal = Arsenal::default();
        let controller = spawn(|builder| builder.flush_fn(target(&arsenal, [act; 2])).retry([MS, MS]));
        arsenal.push(&controller, 10);
        controller.flush().await.unwrap();
        assert_eq!(controller.snapshot().counts.delivered, 10, "{act:?}");
        assert_well(controller, &arsenal, &format!("{act:?}")).await;
    }
}

/// A target that is ready for one batch, and then fails to become ready.
struct Breaks<F> {
    flush: F,
    calls: usize,
    arsenal: Arsenal,
    _guts: Bomb,
}

impl<F: Flush> Service<Vec<Bomb>> for Breaks<F> {
    type Response = FlushOutcome<Bomb, Bomb>;
    type Error = Bomb;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Bomb>> {
        if self.calls == 0 { Poll::Ready(Ok(())) } else { Poll::Ready(Err(self.arsenal.bomb(3))) }
    }

    fn call(&mut self, items: Vec<Bomb>) -> Self::Future {
        self.calls += 1;
        (self.flush)(items)
    }
}

#[tokio::test(start_paused = true)]
async fn t3_drops_that_panic_when_the_target_is_gone_leave_every_item_its_fate() {
    let arsenal = Arsenal::default();
    let flush = target(&arsenal, [Act::Fail]);
    let service = Breaks { flush, calls: 0, arsenal: arsenal.clone(), _guts: arsenal.bomb(4) };
    let controller = spawn(|builder| builder.flush(service).concurrency(2).retry([INTERVAL]));
    arsenal.push(&controller, 25);
    controller.flush().await.unwrap();
    assert!(controller.is_closed());
    let counts = controller.snapshot().counts;
    assert_eq!((counts.failed(), counts.queued, counts.in_flight, counts.balances()), (25, 0, 0, true));
    let report = controller.drain(INTERVAL).await;
    assert!(report.is_complete());
    settle().await;
    arsenal.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn t7_what_a_drain_abandons_may_panic_in_its_drop_if_nobody_waits_for_it() {
    for hook in [false, true] {
        for when in ["before", "after"] {
            let (arsenal, told) = (Arsenal::default(), Log::new());
            let controller = spawn(|mut builder| {
                if hook {
                    let told = told.clone();
                    builder = builder.on_drop(move |item: Bomb, _| told.push(item.number));
                }
                builder.flush_fn(target(&arsenal, [Act::Fail, Act::Never])).concurrency(2).retry([MS, 10 * INTERVAL])
            });
            arsenal.push(&controller, 35);
            settle().await;
            let drain = tokio::spawn({
                let controller = controller.clone();
                async move { drop(Batch(controller.drain(INTERVAL).await.abandoned)) }
            });
            settle().await;
            tokio::time::advance(INTERVAL).await;
            if when == "after" {
                // The worker sends its report, but is not heard.
                tokio::task::yield_now().await;
            }
            drain.abort();
            settle().await;
            advance(INTERVAL).await;
            let counts = controller.snapshot().counts;
            assert_eq!((counts.lost(DropReason::DrainDeadline), counts.balances()), (35, true));
            let later = controller.drain(INTERVAL).await;
            assert_eq!((later.lost, later.unanswered, later.is_complete()), (35, 0, false));
            assert!(!hook || when == "after" || told.take().len() == 35, "each got its turn");
        }
    }
}

#[test]
fn t6_c1_drops_that_panic_at_the_end_of_the_runtime_are_counted() {
    for hook in [false, true] {
        let (runtime, arsenal, told) = (runtime(), Arsenal::default(), Log::new());
        let controller = runtime.block_on(async {
            let controller = spawn(|mut builder| {
                if hook {
                    let told = told.clone();
                    builder = builder.on_drop(move |item: Bomb, _| told.push(item.number));
                }
                let guts = (arsenal.bomb(5), arsenal.bomb(6), arsenal.bomb(7), arsenal.bomb(8));
                let mut flush = target(&arsenal, [Act::Fail, Act::Never]);
                let flush = move |items| {
                    let _guts = &guts.0;
                    flush(items)
                };
                let delays = [MS, INTERVAL].into_iter().inspect(move |_| {
                    let _guts = &guts.1;
                });
                let on_failed = move |_, _: FlushError<Bomb>| {
                    let _guts = &guts.2;
                };
                let judge = move |_: &Bomb| {
                    let _guts = &guts.3;
                    Verdict::Retry
                };
                builder.flush_fn(flush).concurrency(2).retry(delays).judge_by(judge).on_failed(on_failed)
            });
            arsenal.push(&controller, 35);
            settle().await;
            controller
        });
        drop(runtime);
        let counts = controller.snapshot().counts;
        assert_eq!((counts.lost(DropReason::Closed), counts.in_flight, counts.balances()), (35, 0, true));
        assert!(!hook || told.take().len() == 35, "each got its turn");
        assert!(controller.flush().now_or_never().is_some_and(|flush| flush.is_err_and(|left| left.items == 35)));
        drop(controller);
        arsenal.assert_empty();
    }
}

#[tokio::test(start_paused = true)]
async fn t1_targets_hooks_and_delays_that_panic_in_their_drop_do_not_spoil_the_report() {
    let arsenal = Arsenal::default();
    let controller = spawn(|builder| {
        let guts = (arsenal.bomb(5), arsenal.bomb(6), arsenal.bomb(7));
        let mut flush = target(&arsenal, [Act::Fail, Act::Fail]);
        let flush = move |items| {
            let _guts = &guts.0;
            flush(items)
        };
        let delays = [MS].into_iter().inspect(move |_| {
            let _guts = &guts.1;
        });
        let on_failed = move |items: Vec<Bomb>, _: FlushError<Bomb>| {
            let _guts = &guts.2;
            drop(Batch(items));
        };
        builder.flush_fn(flush).retry(delays).on_failed(on_failed)
    });
    arsenal.push(&controller, 10);
    controller.flush().await.unwrap();
    assert_eq!(controller.snapshot().counts.failed(), 10);
    assert_well(controller, &arsenal, "guts").await;
}

/// A flush that answers or waits, and panics with a bomb when it is dropped.
struct Sour(Option<Answer>, Arsenal);

impl Future for Sour {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        self.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Sour {
    fn drop(&mut self) {
        self.1.throw();
    }
}

#[tokio::test(start_paused = true)]
async fn s8_a_flush_that_panics_in_its_drop_has_answered_all_the_same() {
    let arsenal = Arsenal::default();
    let mut answers = VecDeque::from([Some(Ok(FlushOutcome::delivered())), Some(Err(arsenal.bomb(0))), None]);
    let made = arsenal.clone();
    let controller = spawn(|builder| {
        builder.flush_fn(move |items| {
            drop(Batch(items));
            Sour(answers.pop_front().flatten(), made.clone())
        })
    });
    for (delivered, failed) in [(10, 0), (10, 10)] {
        arsenal.push(&controller, 10);
        controller.flush().await.unwrap();
        let counts = controller.snapshot().counts;
        assert_eq!((counts.delivered, counts.failed(), counts.balances()), (delivered, failed, true));
    }
    arsenal.push(&controller, 10);
    settle().await;
    let report = controller.drain(INTERVAL).await;
    assert_eq!((report.unanswered, report.still_running), (10, 0), "it is stopped");
    arsenal.assert_empty();
}

/// A bomb that cannot be copied if it is the seventh.
struct Seventh(Bomb);

impl Clone for Seventh {
    fn clone(&self) -> Self {
        assert!(self.0.number != 7, "a careless clone");
        Self(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn s8_a_copy_that_cannot_be_finished_is_dropped_although_its_items_panic() {
    let arsenal = Arsenal::default();
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush_fn(|items: Vec<Seventh>| {
            drop(Batch(items.into_iter().map(|item| item.0).collect()));
            ready(Ok::<_, &str>(()))
        })
        .keep_copies()
        .spawn()
        .unwrap();
    for _ in 0..3 {
        (0..10).for_each(|number| assert!(controller.try_push(Seventh(arsenal.bomb(number))).is_ok()));
        controller.flush().await.unwrap();
    }
    assert_eq!(controller.snapshot().counts.delivered, 30);
    arsenal.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn s8_panics_that_panic_in_their_own_drop_are_caught_in_every_hook_and_call() {
    let arsenal = Arsenal::default();
    let controller = spawn(|builder| {
        let (call, next, hook, mut calls) = (arsenal.clone(), arsenal.clone(), arsenal.clone(), 0);
        let flush = move |items| {
            drop(Batch(items));
            calls += 1;
            if calls == 1 { call.throw() } else { ready(Ok(FlushOutcome::delivered())) }
        };
        builder.flush_fn(flush).retry((0..1).map(move |_| next.throw())).on_failed(move |items, _| {
            drop(Batch(items));
            hook.throw()
        })
    });
    arsenal.push(&controller, 10);
    controller.flush().await.unwrap();
    assert_eq!(controller.snapshot().counts.failed(), 10);
    assert_well(controller, &arsenal, "panics").await;
}

#[tokio::test(start_paused = true)]
async fn c4_an_evicted_item_that_panics_in_its_drop_costs_only_the_push_that_evicts_it() {
    let (arsenal, config) = (Arsenal::default(), config(4, 4).strategy(Strategy::DropOldest).build().unwrap());
    let flush = target(&arsenal, []);
    let controller = BackpressureController::builder(config).flush_fn(flush).spawn().unwrap();
    arsenal.push(&controller, 4);
    assert!(catch_unwind(AssertUnwindSafe(|| controller.try_push(arsenal.bomb(4)))).is_err());
    controller.flush().await.unwrap();
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.lost(DropReason::Evicted), counts.balances()), (4, 1, true));
    assert!(controller.drain(INTERVAL).await.is_complete());
    arsenal.assert_empty();
}
