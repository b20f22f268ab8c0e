//! Who has a slot, and when it is free again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use backpressure_core::DropReason;
use backpressure_core::limit::{CoDel, Fixed};
use backpressure_tower::{Limiter, Shed, ShedHandle, ShedLayer, ShedReason};
use tower::Layer;

use crate::kit::{Answer, Desk, call, poll, refusal};

fn shed(limit: usize) -> (Shed<Desk>, Desk, ShedHandle) {
    let (layer, desk) = (ShedLayer::fixed(limit).unwrap(), Desk::new());
    (layer.layer(desk.view()), desk, layer.handle())
}

fn queued(limit: usize) -> (Shed<Desk>, Desk, ShedHandle) {
    let limiter = Limiter::builder().limit(Fixed::new(limit).unwrap()).queue(CoDel::new()).build();
    let (layer, desk) = (ShedLayer::builder().limiter(limiter).build(), Desk::new());
    (layer.layer(desk.view()), desk, layer.handle())
}

fn answer(answer: Poll<Answer>) -> Option<u32> {
    match answer {
        Poll::Ready(Ok(answer)) => Some(answer),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn s1_the_service_that_was_ready_is_the_one_called_at_once_or_later() {
    let (mut service, desk, _) = queued(1);
    let mut first = call(&mut service);
    let mut second = call(&mut service);
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(desk.made(), 1, "the second waits");
    desk.answer(Ok(1));
    assert_eq!(answer(poll(first.as_mut())), Some(1));
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(desk.made(), 2, "a service that was not ready would have panicked");
}

#[test]
fn s2_dropping_the_response_frees_its_slot() {
    let (mut service, desk, handle) = shed(1);
    let mut first = call(&mut service);
    assert!(poll(first.as_mut()).is_pending());
    assert_eq!(handle.limiter().in_flight(), 1);
    drop(first);
    assert_eq!((handle.limiter().in_flight(), desk.open()), (0, 0));
    assert!(poll(call(&mut service).as_mut()).is_pending());
    let counts = handle.gauge().snapshot().counts;
    assert_eq!((counts.received, counts.delivered, counts.lost(DropReason::Cancelled)), (2, 0, 2));
    assert!(counts.balances());
}

#[tokio::test(start_paused = true)]
async fn s2_dropping_a_response_that_waits_leaves_the_queue_and_one_that_was_served_hands_on() {
    let (mut service, desk, handle) = queued(1);
    let mut first = call(&mut service);
    let mut waiting: Vec<_> = (0..3).map(|_| call(&mut service)).collect();
    waiting.iter_mut().for_each(|response| assert!(poll(response.as_mut()).is_pending()));
    assert_eq!(handle.limiter().waiting(), 3);
    drop(waiting.remove(0));
    assert_eq!(handle.limiter().waiting(), 2);
    desk.answer(Ok(1));
    assert_eq!(answer(poll(first.as_mut())), Some(1));
    assert_eq!((handle.limiter().waiting(), handle.limiter().in_flight()), (1, 1), "the slot is meant for the next");
    drop(waiting.remove(0));
    assert_eq!((handle.limiter().waiting(), handle.limiter().in_flight()), (0, 1), "and now for the last");
    assert!(poll(waiting[0].as_mut()).is_pending());
    assert_eq!(desk.made(), 2);
    waiting.clear();
    assert_eq!(handle.limiter().in_flight(), 0);
    assert!(handle.gauge().snapshot().counts.balances());
}

#[test]
fn s3_a_shed_happens_before_the_inner_call_and_says_why_and_when() {
    let (mut service, desk, handle) = shed(2);
    let _first = [call(&mut service), call(&mut service)];
    let overloaded = refusal(poll(call(&mut service).as_mut())).expect("shed");
    assert_eq!((desk.made(), overloaded.reason()), (2, ShedReason::Limit));
    assert_eq!(overloaded.state(), handle.state());
    assert!(!overloaded.retry_after().is_zero());
    assert_eq!((handle.counts().shed(ShedReason::Limit), handle.counts().total()), (1, 1));
    let counts = handle.gauge().snapshot().counts;
    assert_eq!((counts.received, counts.rejected, counts.in_flight), (3, 1, 2));
}

#[test]
fn s3_answers_spread_when_they_ask_to_come_back() {
    let (mut service, _, _) = shed(1);
    let _first = call(&mut service);
    let mut times: Vec<_> =
        (0..100).filter_map(|_| Some(refusal(poll(call(&mut service).as_mut()))?.retry_after())).collect();
    times.sort_unstable();
    assert_eq!(times.len(), 100);
    assert!(times[90] >= 2 * times[10], "{times:?}");
}

#[test]
fn s4_a_service_that_is_shed_never_takes_the_next_slot() {
    let (mut service, desk, handle) = shed(1);
    let mut first = call(&mut service);
    let mut other = service.clone();
    assert!(refusal(poll(call(&mut other).as_mut())).is_some());
    desk.answer(Ok(1));
    assert_eq!(answer(poll(first.as_mut())), Some(1));
    assert_eq!(handle.limiter().in_flight(), 0, "nobody is parked anywhere");
    assert!(poll(call(&mut service).as_mut()).is_pending());
}

#[test]
fn s5_a_thousand_calls_in_one_poll_with_a_spent_budget_are_not_shed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shed = runtime.block_on(async {
        tokio::spawn(async {
            let (mut service, desk, handle) = shed(1000);
            std::future::poll_fn(|cx| {
                while std::pin::pin!(tokio::task::consume_budget()).as_mut().poll(cx).is_ready() {}
                Poll::Ready(())
            })
            .await;
            let mut responses: Vec<_> = (0..1000).map(|_| call(&mut service)).collect();
            responses.iter_mut().for_each(|response| assert!(poll(response.as_mut()).is_pending()));
            (0..1000).for_each(|_| desk.answer(Ok(1)));
            assert!(responses.iter_mut().all(|response| answer(poll(response.as_mut())) == Some(1)));
            handle.counts().total()
        })
        .await
        .unwrap()
    });
    assert_eq!(shed, 0);
}

/// Answers at once, and tells how many calls were in flight when it went away.
struct Owner(Limiter, Arc<AtomicUsize>);

impl Future for Owner {
    type Output = Result<u32, &'static str>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(1))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.1.store(self.0.in_flight(), Ordering::SeqCst);
    }
}

#[test]
fn s4_the_slot_is_free_when_what_the_call_has_used_is() {
    let layer = ShedLayer::fixed(1).unwrap();
    let (limiter, seen) = (layer.handle().limiter().clone(), Arc::new(AtomicUsize::new(usize::MAX)));
    let (of_call, by_call) = (limiter.clone(), Arc::clone(&seen));
    let mut service = layer.layer(tower::service_fn(move |_: u32| Owner(of_call.clone(), Arc::clone(&by_call))));
    let mut response = call(&mut service);
    assert_eq!(answer(poll(response.as_mut())), Some(1));
    assert_eq!((seen.swap(usize::MAX, Ordering::SeqCst), limiter.in_flight()), (1, 0));
    drop(call(&mut service));
    assert_eq!((seen.load(Ordering::SeqCst), limiter.in_flight()), (1, 0));
}

#[test]
fn s6_a_slow_call_holds_up_no_other() {
    let (mut service, desk, _) = shed(2);
    let mut slow = call(&mut service);
    assert!(poll(slow.as_mut()).is_pending());
    let hold = desk.view();
    for _ in 0..10 {
        let mut quick = call(&mut service);
        assert!(poll(quick.as_mut()).is_pending());
        hold.answer_newest(Ok(1));
        assert_eq!(answer(poll(quick.as_mut())), Some(1));
    }
    assert!(poll(slow.as_mut()).is_pending());
}

#[test]
fn s7_all_services_of_a_layer_and_of_its_clones_share_one_limit() {
    let (layer, desk) = (ShedLayer::fixed(1).unwrap(), Desk::new());
    let mut services = [layer.layer(desk.view()), layer.clone().layer(desk.view()), layer.layer(desk.view()).clone()];
    let _first = call(&mut services[0]);
    for service in &mut services {
        assert!(refusal(poll(call(service).as_mut())).is_some());
    }
    assert_eq!(desk.made(), 1);
}

#[test]
fn s8_a_panic_in_the_future_frees_its_slot_at_once() {
    let (mut service, desk, handle) = shed(1);
    let mut first = call(&mut service);
    assert!(poll(first.as_mut()).is_pending());
    desk.panic();
    assert!(catch_unwind(AssertUnwindSafe(|| poll(first.as_mut()))).is_err());
    assert_eq!(handle.limiter().in_flight(), 0, "although the future is still there");
    assert_eq!(handle.gauge().snapshot().counts.failed(), 1);
    assert!(poll(call(&mut service).as_mut()).is_pending());
}

#[test]
fn s8_a_panic_in_call_frees_its_slot() {
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let mut service = layer.layer(tower::service_fn(|_: u32| -> std::future::Ready<Result<u32, &'static str>> {
        panic!("the service panics")
    }));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(call(&mut service)))).is_err());
    let counts = handle.gauge().snapshot().counts;
    assert_eq!((handle.limiter().in_flight(), counts.failed()), (0, 1));
}
