//! Classes of calls, one of which has a dead backend.

use std::collections::VecDeque;
use std::time::Duration;

use backpressure_core::limit::{Fixed, Level, Outcome};
use backpressure_tower::{Entry, Limiter, Permit, ShedLayer, ShedReason};
use tokio::time::advance;
use tower::Layer;

use crate::kit::{Desk, call, poll, refusal};

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
