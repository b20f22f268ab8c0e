//! Classes of calls, one of which has a dead backend.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use backpressure_core::limit::{Fixed, Level, Outcome};
use backpressure_tower::{Entry, Limiter, Permit, ShedError, ShedHandle, ShedLayer, ShedLayerBuilder, ShedReason};
use tokio::time::advance;
use tower::{Layer, Service};

use crate::kit::{Desk, call, is_ready, poll, refusal};

const MS: Duration = Duration::from_millis(1);

fn admit(limiter: &Limiter, class: Option<&str>) -> Result<Permit, ShedReason> {
    let entry = match class {
        Some(class) => limiter.acquire_of(class, Level::default(), None),
        None => limiter.acquire(Level::default(), None),
    };
    match entry {
        Ok(Entry::Admitted(permit)) => Ok(permit),
        Ok(Entry::Queued(_)) => panic!("there is no queue"),
        Err(overloaded) => Err(overloaded.reason()),
    }
}

/// How many of a hundred calls a second that are answered within 10 ms find a slot, in ten seconds, beside fifty that hang for
/// a second; and for what reason those were refused that would hang.
async fn answered_beside_a_dead_backend(tells_class: bool) -> (usize, Vec<ShedReason>) {
    let limiter = Limiter::fixed(20).unwrap();
    let (mut stuck, mut admitted, mut reasons) = (VecDeque::new(), 0, Vec::new());
    for step in 0..2000 {
        if step % 2 == 0 {
            match admit(&limiter, tells_class.then_some("dead")) {
                Ok(permit) => stuck.push_back((step, permit)),
                Err(reason) => reasons.push(reason),
            }
        }
        let answered = admit(&limiter, tells_class.then_some("healthy"));
        admitted += usize::from(answered.is_ok() && step >= 1000);
        advance(10 * MS).await;
        answered.into_iter().for_each(|permit| permit.finish(Outcome::Success));
        while stuck.front().is_some_and(|(since, _)| step - since >= 100) {
            stuck.pop_front().into_iter().for_each(|(_, permit): (_, Permit)| permit.finish(Outcome::TimedOut));
        }
    }
    assert!(stuck.len() >= 2, "some of them always pass, or nobody would see that the backend is back");
    let counts = limiter.gauge().snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
    (admitted, reasons)
}

#[tokio::test(start_paused = true)]
async fn h3_a_class_with_a_dead_backend_does_not_take_the_slots_of_the_others() {
    let (admitted, reasons) = answered_beside_a_dead_backend(false).await;
    assert!(admitted < 900, "the dead ones fill the limit: {admitted}");
    assert!(reasons.iter().all(|&reason| reason == ShedReason::Limit));

    let (admitted, reasons) = answered_beside_a_dead_backend(true).await;
    assert_eq!(admitted, 1000);
    assert!(reasons.iter().filter(|&&reason| reason == ShedReason::Class).count() > 200);
}

const DEAD: u32 = 0;
const HEALTHY: u32 = 1;

/// The same through a service that waits, or is a shadow: how many of the healthy calls were made at once in the second half, and
/// how many calls were refused.
async fn made_beside_a_dead_backend(builder: ShedLayerBuilder, tells_class: bool) -> (usize, usize, ShedHandle) {
    let layer = builder.limiter(Limiter::fixed(20).unwrap()).build();
    let (handle, desk) = (layer.handle(), Desk::new());
    let layer = layer
        .class_by(move |class: &u32| if tells_class { *class } else { HEALTHY })
        .outcome(|result| if result.is_ok() { Outcome::Success } else { Outcome::TimedOut });
    let service = layer.layer(desk.view());
    let (mut stuck, mut made, mut refused) = (VecDeque::new(), 0, 0);
    for step in 0..2000 {
        let mut begin = |class| {
            let mut service = service.clone();
            let mut response = is_ready(&mut service).then(|| Box::pin(service.call(class)))?;
            match poll(response.as_mut()) {
                Poll::Pending => Some(response),
                Poll::Ready(Err(ShedError::Overloaded(overloaded))) => {
                    assert_eq!((class, overloaded.reason()), (DEAD, ShedReason::Class));
                    refused += 1;
                    None
                }
                Poll::Ready(answer) => panic!("{answer:?}"),
            }
        };
        if step % 2 == 0 {
            stuck.extend(begin(DEAD).map(|response| (step, response)));
        }
        let healthy = begin(HEALTHY);
        made += usize::from(healthy.is_some() && step >= 1000);
        advance(10 * MS).await;
        if let Some(mut response) = healthy {
            desk.answer_newest(Ok(1));
            assert_eq!(poll(response.as_mut()), Poll::Ready(Ok(1)));
        }
        while stuck.front().is_some_and(|(since, _)| step - since >= 100) {
            desk.answer(Err("too late"));
            let late = stuck.pop_front().map(|(_, mut response)| poll(response.as_mut()).is_ready());
            assert_eq!(late, Some(true));
        }
    }
    drop(stuck);
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances() && counts.in_flight == 0, "{counts:?}");
    assert_eq!((counts.rejected, handle.counts().total()), (refused as u64, refused as u64));
    (made, refused, handle)
}

#[tokio::test(start_paused = true)]
async fn h3_where_calls_wait_those_with_a_dead_backend_do_not_take_the_slots_of_the_others() {
    let (made, refused, _) = made_beside_a_dead_backend(ShedLayer::builder().wait(), false).await;
    assert!(made < 900 && refused == 0, "the dead ones fill the limit: {made} {refused}");
    let (made, refused, _) = made_beside_a_dead_backend(ShedLayer::builder().wait(), true).await;
    assert!(made == 1000 && refused > 200, "{made} {refused}");
}

#[tokio::test(start_paused = true)]
async fn h4_a_shadow_counts_what_it_would_refuse_for_the_sake_of_a_class_and_refuses_nothing() {
    let (made, refused, handle) = made_beside_a_dead_backend(ShedLayer::builder().shadow(), true).await;
    let would = ShedReason::ALL.map(|reason| handle.counts().would_shed(reason));
    assert!(made == 1000 && refused == 0 && would[ShedReason::Class as usize] > 200, "{made} {refused} {would:?}");
}

#[tokio::test(start_paused = true)]
async fn i1_classes_change_nothing_where_nothing_is_wrong() {
    let layer = ShedLayer::builder().limit(Fixed::new(2).unwrap()).build().class_by(|n: &u32| n % 2);
    let handle = layer.handle();
    let mut service = layer.layer(Desk::new());
    let mut calls: Vec<_> = (0..2).map(|_| call(&mut service)).collect();
    assert!(calls.iter_mut().all(|call| poll(call.as_mut()).is_pending()));
    let mut waits = call(&mut service);
    assert!(poll(waits.as_mut()).is_pending());
    assert_eq!((handle.limiter().in_flight(), handle.limiter().waiting(), handle.counts().total()), (2, 1, 0));
    drop(calls);
    assert!(poll(waits.as_mut()).is_pending(), "it is made now");
    assert_eq!((handle.limiter().in_flight(), handle.limiter().waiting()), (1, 0));
    handle.limiter().drain();
    assert_eq!(
        refusal(poll(call(&mut service).as_mut())).map(|overloaded| overloaded.reason()),
        Some(ShedReason::Draining)
    );
}
