//! Services that wait, are ready, and are not called.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure_core::DropReason;
use backpressure_core::limit::{Fixed, Limit, Window};
use backpressure_tower::{Limiter, Shed, ShedHandle, ShedLayer};
use tokio::runtime::Builder;
use tokio::time::{Instant, advance, sleep};
use tower::steer::Steer;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::kit::{Desk, Task, is_ready, is_ready_by, poll, poll_by, refusal};

const MS: Duration = Duration::from_millis(1);

fn waiting(limit: usize) -> ShedLayer {
    ShedLayer::builder().limiter(Limiter::fixed(limit).unwrap()).wait().build()
}

/// Two services of one slot, and what is behind them.
fn two() -> (Shed<Desk>, Shed<Desk>, Desk, ShedHandle) {
    let (layer, desk) = (waiting(1), Desk::new());
    let service = layer.layer(desk.view());
    (service.clone(), service, desk, layer.handle())
}

#[tokio::test(start_paused = true)]
async fn t4_services_of_one_limit_under_steer_are_not_stuck_and_soon_are_not_slow() {
    for limit in 1..=4 {
        let layer = waiting(limit);
        let service = layer.layer(service_fn(async |n: u32| {
            sleep(MS).await; // tidy: paused clock
            Ok::<_, io::Error>(n)
        }));
        let pick = |n: &u32, _: &[_]| *n as usize % 3;
        let mut steer = Steer::new((0..3).map(|_| service.clone()), pick);
        for n in 0..10 {
            assert_eq!(steer.ready().await.unwrap().call(n).await.unwrap(), n);
        }
        let start = Instant::now();
        for n in 0..100 {
            assert_eq!(steer.ready().await.unwrap().call(n).await.unwrap(), n);
        }
        assert!(start.elapsed() < 200 * MS, "100 calls of a millisecond took {:?}", start.elapsed());
        let counts = layer.handle().gauge().snapshot().counts;
        assert!(counts.balances() && counts.delivered == 110, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn t4_others_are_served_although_a_service_that_is_ready_is_never_called() {
    let layer = waiting(2);
    let mut never = layer.layer(Desk::new());
    assert!(is_ready(&mut never));
    let quick = service_fn(async |n: u32| {
        sleep(MS).await; // tidy: paused clock
        Ok::<_, io::Error>(n)
    });
    let service = layer.layer(quick);
    let start = Instant::now();
    let calls = (0..4000).map(|n| tokio::spawn(service.clone().oneshot(n)));
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert!(start.elapsed() < 3000 * MS, "both slots were used in the end: {:?}", start.elapsed());
    assert_eq!((layer.handle().limiter().in_flight(), layer.handle().limiter().waiting()), (0, 0));
    drop(never);
}

#[tokio::test(start_paused = true)]
async fn d4_a_service_that_is_ready_keeps_its_slot_for_a_second_and_w2_whoever_waits_is_woken_then() {
    let (mut first, mut second, _, handle) = two();
    let task = Task::new();
    assert!(is_ready(&mut first) && !is_ready_by(&task, &mut second));
    advance(999 * MS).await;
    assert!((task.wakes(), is_ready(&mut first)) == (0, true) && !is_ready_by(&task, &mut second));
    advance(2 * MS).await;
    assert_eq!(task.wakes(), 1);
    assert!(is_ready_by(&task, &mut second) && !is_ready(&mut first));
    assert_eq!(handle.limiter().in_flight(), 1);
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances() && counts.lost(DropReason::Cancelled) == 1, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn d4_a_slot_is_kept_for_as_long_as_nobody_waits() {
    let (mut first, second, desk, _) = two();
    assert!(is_ready(&mut first));
    advance(3_600_000 * MS).await;
    let mut response = Box::pin(first.call(1));
    assert!(poll(response.as_mut()).is_pending());
    assert_eq!(desk.made(), 1);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn d4_s4_a_call_whose_slot_went_back_waits_for_another_and_is_made() {
    let (mut first, mut second, desk, handle) = two();
    assert!(is_ready(&mut first) && !is_ready(&mut second));
    advance(1001 * MS).await;
    assert!(is_ready(&mut second));
    let (task, mut late) = (Task::new(), Box::pin(first.call(1)));
    assert!(poll_by(&task, late.as_mut()).is_pending());
    let mut early = Box::pin(second.call(2));
    assert!(poll(early.as_mut()).is_pending());
    assert_eq!((desk.made(), handle.limiter().in_flight()), (1, 1));
    desk.answer(Ok(2));
    assert!(matches!(poll(early.as_mut()), Poll::Ready(Ok(2))));
    assert_eq!(task.wakes(), 1);
    assert!(poll_by(&task, late.as_mut()).is_pending());
    assert_eq!((desk.made(), handle.limiter().in_flight()), (2, 1));
    desk.answer(Ok(1));
    assert!(matches!(poll(late.as_mut()), Poll::Ready(Ok(1))));
    assert_eq!(handle.limiter().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_slot_went_back_is_still_not_ready_while_there_is_none() {
    let (mut first, mut second, desk, handle) = two();
    assert!(is_ready(&mut first) && !is_ready(&mut second));
    advance(1001 * MS).await;
    assert!(is_ready(&mut second));
    let mut call = Box::pin(second.call(2));
    let task = Task::new();
    assert!(poll(call.as_mut()).is_pending() && !is_ready_by(&task, &mut first));
    desk.answer(Ok(2));
    assert!(poll(call.as_mut()).is_ready());
    assert_eq!(task.wakes(), 1);
    assert!(is_ready(&mut first));
    assert_eq!(handle.limiter().in_flight(), 0, "it takes its slot at the call");
    let mut call = Box::pin(first.call(1));
    assert!(poll(call.as_mut()).is_pending());
    assert_eq!((handle.limiter().in_flight(), desk.made()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn w3_b5_the_alarm_of_those_that_have_left_wakes_nobody() {
    let (mut first, mut second, _, handle) = two();
    let task = Task::new();
    assert!(is_ready_by(&task, &mut first) && !is_ready_by(&task, &mut second));
    drop(second);
    advance(10_000 * MS).await;
    assert_eq!(task.wakes(), 0);
    assert!(is_ready(&mut first));
    assert_eq!(handle.limiter().in_flight(), 1);
}

/// A limit that somebody else holds on to.
#[derive(Debug)]
struct Held(Fixed, #[expect(dead_code, reason = "owned only to be dropped")] Arc<()>);

impl Limit for Held {
    fn limit(&self) -> usize {
        self.0.limit()
    }

    fn update(&mut self, window: &Window) -> usize {
        self.0.update(window)
    }
}

#[tokio::test(start_paused = true)]
async fn t6_an_alarm_keeps_nothing_alive() {
    let ours = Arc::new(());
    let limiter = Limiter::builder().limit(Held(Fixed::new(1).unwrap(), Arc::clone(&ours))).build();
    let layer = ShedLayer::builder().limiter(limiter).wait().build();
    let (mut first, mut second) = (layer.layer(Desk::new()), layer.layer(Desk::new()));
    assert!(is_ready(&mut first) && !is_ready(&mut second));
    drop((first, second, layer));
    assert_eq!(Arc::strong_count(&ours), 1);
    advance(10_000 * MS).await;
}

#[test]
fn where_there_is_no_timer_a_service_that_is_ready_keeps_its_slot() {
    let (mut first, mut second, _, _) = two();
    assert!(is_ready(&mut first) && !is_ready(&mut second), "no runtime at all");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert!(!is_ready(&mut second.clone()), "one without a timer");
    });
    assert!(is_ready(&mut first));
}

#[test]
fn w5_every_slot_that_is_taken_back_goes_on_although_a_waker_panics() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    let bad = Waker::from(Arc::new(Panics));
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (layer, task) = (waiting(2), Task::new());
    let [mut one, mut two, mut first, mut second] = [(); 4].map(|()| layer.layer(Desk::new()));
    let time = async {
        assert!(is_ready(&mut one) && is_ready(&mut two));
        assert!(first.poll_ready(&mut Context::from_waker(&bad)).is_pending());
        assert!(!is_ready_by(&task, &mut second));
        advance(1001 * MS).await;
        advance(MS).await;
    };
    assert!(catch_unwind(AssertUnwindSafe(|| runtime.block_on(time))).is_err(), "the panic goes on");
    assert_eq!(task.wakes(), 1);
    let _context = runtime.enter();
    assert!(is_ready(&mut first) && is_ready(&mut second));
    assert_eq!(layer.handle().limiter().in_flight(), 2);
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_waits_for_no_service_that_is_ready_and_not_called_and_sheds_its_call() {
    let (layer, desk) = (waiting(3), Desk::new());
    let [mut idle, mut late, mut flying] = [(); 3].map(|()| layer.layer(desk.view()));
    assert!(is_ready(&mut idle) && is_ready(&mut late) && is_ready(&mut flying));
    let mut response = Box::pin(flying.call(1));
    assert!(poll(response.as_mut()).is_pending());
    let mut drain = Box::pin(layer.handle().drain(30_000 * MS));
    let task = Task::new();
    assert!(poll_by(&task, drain.as_mut()).is_pending());
    assert_eq!(layer.handle().limiter().in_flight(), 1, "only what was called is waited for");
    let overloaded = refusal(poll(Box::pin(late.call(2)).as_mut())).expect("shed");
    assert!(overloaded.is_draining());
    desk.answer(Ok(1));
    assert!(poll(response.as_mut()).is_ready());
    assert_eq!(task.wakes(), 1);
    let report = drain.await;
    assert_eq!((report.abandoned, report.elapsed), (0, Duration::ZERO));
    let counts = layer.handle().gauge().snapshot().counts;
    assert!(counts.balances() && (counts.delivered, counts.in_flight) == (1, 0), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn t4_a_slot_that_is_served_to_a_service_that_is_not_polled_any_more_goes_on() {
    let layer = waiting(1);
    let [mut flying, mut left, mut stays] = [(); 3].map(|()| layer.layer(Desk::new()));
    assert!(is_ready(&mut flying));
    let response = Box::pin(flying.call(1));
    let (absent, task) = (Task::new(), Task::new());
    assert!(!is_ready_by(&absent, &mut left) && !is_ready_by(&task, &mut stays));
    drop(response);
    assert_eq!((absent.wakes(), task.wakes()), (1, 0), "its turn, but whoever polled it has given up");
    advance(1001 * MS).await;
    advance(1001 * MS).await;
    assert_eq!(task.wakes(), 1);
    assert!(is_ready(&mut stays));
    assert_eq!(layer.handle().limiter().in_flight(), 1);
    let mut late = Box::pin(stays.call(2));
    assert!(poll(late.as_mut()).is_pending() && !is_ready(&mut left));
    drop(late);
    assert!(is_ready(&mut left));
    drop((left, stays, flying));
    let counts = layer.handle().gauge().snapshot().counts;
    assert!(counts.balances() && (counts.in_flight, counts.queued) == (0, 0), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_waits_for_no_service_that_was_served_a_slot_and_not_polled() {
    let layer = waiting(1);
    let [mut flying, mut left] = [(); 2].map(|()| layer.layer(Desk::new()));
    assert!(is_ready(&mut flying));
    let response = Box::pin(flying.call(1));
    assert!(!is_ready(&mut left));
    drop(response);
    let report = layer.handle().drain(30_000 * MS).await;
    assert_eq!((report.abandoned, report.elapsed), (0, Duration::ZERO));
    assert!(is_ready(&mut left));
}

#[test]
fn t4_the_end_of_a_runtime_leaves_nobody_waiting_in_another() {
    let [ends, lives] =
        [(); 2].map(|()| Builder::new_current_thread().enable_time().start_paused(true).build().unwrap());
    let (layer, task) = (waiting(1), Task::new());
    let [mut idle, mut gone, mut stays] = [(); 3].map(|()| layer.layer(Desk::new()));
    assert!(is_ready(&mut idle));
    ends.block_on(async { assert!(!is_ready(&mut gone)) });
    lives.block_on(async { assert!(!is_ready_by(&task, &mut stays)) });
    drop((gone, ends));
    assert_eq!(task.wakes(), 1, "the alarm went with its runtime");
    lives.block_on(async {
        assert!(!is_ready_by(&task, &mut stays));
        advance(1001 * MS).await;
        assert_eq!(task.wakes(), 2);
        assert!(is_ready(&mut stays));
    });
    assert_eq!(layer.handle().limiter().in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn t7_however_many_services_are_ready_a_drain_waits_for_none_and_without_it_all_calls_are_made() {
    for drains in [true, false] {
        let (layer, desk) = (waiting(300), Desk::new());
        let mut services: Vec<_> = (0..200).map(|_| layer.layer(desk.view())).collect();
        assert!(services.iter_mut().all(is_ready));
        if drains {
            let report = layer.handle().drain(30_000 * MS).await;
            assert_eq!((report.abandoned, report.elapsed), (0, Duration::ZERO));
        }
        let mut calls: Vec<_> = services.iter_mut().map(|service| Box::pin(service.call(1))).collect();
        let shed = calls.iter_mut().map(|call| usize::from(poll(call.as_mut()).is_ready())).sum::<usize>();
        assert_eq!((shed, desk.made()), if drains { (200, 0) } else { (0, 200) });
        assert_eq!(layer.handle().limiter().in_flight(), desk.made());
    }
}
