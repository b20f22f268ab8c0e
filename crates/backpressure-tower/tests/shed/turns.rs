//! Services that wait: whose turn it is, and what is kept from others meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::{Bounds, CoDel, Criticality, Fast, Fixed, Level, Limit, Outcome, Window};
use backpressure_tower::{Entry, Limiter, Permit, QueuedCall, ShedLayer};
use tokio::time::advance;
use tower::{Layer, Service};

use crate::kit::{Desk, Task, call, is_ready, is_ready_by, poll};

const MS: Duration = Duration::from_millis(1);

fn fixed(limit: usize) -> Limiter {
    Limiter::fixed(limit).unwrap()
}

fn admitted(ticket: &mut QueuedCall) -> Option<Permit> {
    match ticket.poll_admitted(&Context::from_waker(Waker::noop())) {
        Poll::Ready(admitted) => Some(admitted.expect("not shed")),
        Poll::Pending => None,
    }
}

fn queued(entry: Result<Entry, backpressure_tower::Overloaded>) -> QueuedCall {
    match entry {
        Ok(Entry::Queued(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn o4_services_that_wait_are_served_in_their_order_even_if_the_limiter_has_a_queue_that_stands() {
    let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).wait().build();
    let mut first = layer.layer(Desk::new());
    assert!(is_ready(&mut first));
    let mut others: Vec<_> = (0..3).map(|_| (Task::new(), first.clone())).collect();
    for (task, service) in &mut others {
        assert!(!is_ready_by(task, service));
        advance(200 * MS).await;
    }
    drop(first);
    for next in 0..3 {
        let (task, mut service) = others.remove(0);
        assert_eq!(task.wakes(), 1, "{next} has waited longest");
        assert!(is_ready_by(&task, &mut service));
        assert!(others.iter().all(|(task, _)| task.wakes() == 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_as_long_as_it_takes_is_not_refused_because_others_are_more_important() {
    let bounds = Bounds::new(10, 10).and_then(|bounds| bounds.start(10)).unwrap();
    let limiter = Limiter::builder().limit(Fast::new(bounds)).build();
    let (important, other) = (Level::from(Criticality::Critical), Level::from(Criticality::Sheddable));
    let mut flying: Vec<_> = (0..10).map(|_| limiter.try_admit(important).unwrap()).collect();
    for _ in 0..100 {
        (0..10).for_each(|_| drop(limiter.try_admit(important)));
        drop(limiter.try_admit(other));
        advance(20 * MS).await;
        flying.remove(0).finish(Outcome::Success);
        flying.push(limiter.try_admit(important).unwrap());
    }
    flying.pop().unwrap().finish(Outcome::Success);
    assert!(limiter.try_admit(other).is_err(), "there is a slot, for others");
    let permit = match limiter.wait(other) {
        Ok(Entry::Admitted(permit)) => permit,
        Ok(Entry::Queued(mut ticket)) => {
            flying.pop().unwrap().finish(Outcome::Success);
            admitted(&mut ticket).expect("served")
        }
        Err(refused) => panic!("{refused}"),
    };
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_without_end_is_served_between_waiters_that_come_and_go() {
    let limiter = Limiter::builder().limit(Fixed::new(1).unwrap()).queue(CoDel::new()).build();
    let flying = limiter.try_admit(Level::default()).unwrap();
    let mut endless = queued(limiter.wait(Level::default()));
    let mut short = queued(limiter.acquire(Level::default(), None));
    advance(200 * MS).await;
    flying.finish(Outcome::Success);
    let refused = short.poll_admitted(&Context::from_waker(Waker::noop()));
    assert!(matches!(refused, Poll::Ready(Err(_))), "its time is up");
    assert!(admitted(&mut endless).is_some());
}

#[test]
fn s2_a_call_that_goes_by_leaves_the_slot_to_others() {
    let layer = ShedLayer::builder().limiter(fixed(1)).wait().build();
    let handle = layer.handle();
    let mut service = layer.bypass(|_: &u32| true).layer(Desk::new());
    let mut response = call(&mut service);
    assert!(poll(response.as_mut()).is_pending());
    assert_eq!(handle.limiter().in_flight(), 0);
    assert!(is_ready(&mut service.clone()));
}

#[test]
fn a_service_that_is_held_back_hoards_neither_slot_nor_place() {
    let layer = ShedLayer::builder().limiter(fixed(1)).wait().build();
    let (handle, mut first) = (layer.handle(), layer.layer(Desk::new()));
    let mut second = first.clone();
    assert!(is_ready(&mut first) && !is_ready(&mut second));
    handle.force(Some(State::Blocked));
    assert!(!is_ready(&mut second) && !is_ready(&mut first));
    assert_eq!((handle.limiter().in_flight(), handle.limiter().waiting()), (0, 0));
    handle.force(None);
    assert!(is_ready(&mut second) && !is_ready(&mut first));
}

#[test]
fn t6_services_that_were_held_back_and_are_gone_are_forgotten() {
    let layer = ShedLayer::builder().wait().build();
    let (handle, mut stays, task) = (layer.handle(), layer.layer(Desk::new()), Task::new());
    handle.force(Some(State::Blocked));
    assert!(!is_ready_by(&task, &mut stays));
    let gone = Task::new();
    for _ in 0..100 {
        assert!(!is_ready_by(&gone, &mut layer.layer(Desk::new())));
    }
    assert_eq!(Arc::strong_count(&gone), 1, "nobody keeps its waker");
    let latest = Task::new();
    assert!(!is_ready_by(&latest, &mut stays));
    handle.force(None);
    assert_eq!((gone.wakes(), task.wakes(), latest.wakes()), (0, 0, 1), "w1");
}

/// Panics when it is told something.
#[derive(Debug)]
struct Broken;

impl Limit for Broken {
    fn limit(&self) -> usize {
        1
    }

    fn update(&mut self, _: &Window) -> usize {
        panic!("a limit that does not work")
    }
}

#[tokio::test(start_paused = true)]
async fn s8_a_limit_that_panics_costs_no_slot() {
    let limiter = Limiter::builder().limit(Broken).build();
    drop(limiter.try_admit(Level::default()));
    advance(5000 * MS).await;
    assert!(catch_unwind(AssertUnwindSafe(|| limiter.try_admit(Level::default()))).is_err());
    assert_eq!(limiter.in_flight(), 0);
    let counts = limiter.gauge().snapshot().counts;
    assert!(counts.balances() && counts.failed() == 1, "{counts:?}");
}

/// Keeps what it is told.
#[derive(Debug, Clone)]
struct Pupil(Arc<Mutex<Vec<Window>>>);

impl Limit for Pupil {
    fn limit(&self) -> usize {
        4
    }

    fn update(&mut self, window: &Window) -> usize {
        self.0.lock().unwrap().push(*window);
        4
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_ready_for_long_before_it_is_called_is_not_a_slow_one() {
    let lessons = Pupil(Arc::default());
    let layer = ShedLayer::builder().limiter(Limiter::builder().limit(lessons.clone()).build()).wait().build();
    let desk = Desk::new();
    let mut service = layer.layer(desk.view());
    for _ in 0..40 {
        assert!(is_ready(&mut service));
        advance(100 * MS).await;
        let mut response = Box::pin(service.call(1));
        assert!(poll(response.as_mut()).is_pending());
        advance(5 * MS).await;
        desk.answer(Ok(1));
        assert!(poll(response.as_mut()).is_ready());
    }
    let window = *lessons.0.lock().unwrap().last().expect("a window");
    assert_eq!((window.latency, window.delay), (Some(5 * MS), Duration::ZERO));
}
