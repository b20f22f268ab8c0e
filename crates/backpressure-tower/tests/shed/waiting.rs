//! Services that wait for their slot, and calls that wait in the short queue.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::limit::{CoDel, Criticality, Fixed, Level, Outcome};
use backpressure_core::{BackpressureConfig, BoundedBuffer, Gauge, Moved, Recorder, State, Tag};
use backpressure_tower::{Entry, Limiter, Permit, QueuedCall, Shed, ShedHandle, ShedLayer, ShedReason};
use tower::{Layer, Service};

use crate::kit::{Desk, Task, call, is_ready, is_ready_by, poll, poll_by, refusal};

const MS: Duration = Duration::from_millis(1);

fn waiting(limit: usize) -> (Shed<Desk>, Desk, ShedHandle) {
    let limiter = Limiter::fixed(limit).unwrap();
    let (layer, desk) = (ShedLayer::builder().limiter(limiter).wait().build(), Desk::new());
    (layer.layer(desk.view()), desk, layer.handle())
}

fn queued(limit: usize) -> (Shed<Desk>, Desk, ShedHandle) {
    let (layer, desk) = (ShedLayer::builder().limit(Fixed::new(limit).unwrap()).build(), Desk::new());
    (layer.layer(desk.view()), desk, layer.handle())
}

fn poll_ticket(ticket: &mut QueuedCall) -> Poll<Permit> {
    let polled = ticket.poll_admitted(&Context::from_waker(Waker::noop()));
    polled.map(|admitted| admitted.expect("not shed"))
}

fn ticket(limiter: &Limiter) -> QueuedCall {
    match limiter.wait(Level::default()) {
        Ok(Entry::Queued(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s4_a_limit_that_shrinks_while_callers_wait_is_obeyed_by_the_next_admission() {
    let limiter = Limiter::fixed(50).unwrap();
    let mut flying: Vec<_> = (0..50).map(|_| limiter.try_admit(Level::default()).unwrap()).collect();
    let mut tickets: Vec<_> = (0..200).map(|_| ticket(&limiter)).collect();
    limiter.set_limit(Fixed::new(5).unwrap());
    for left in (5..50).rev() {
        flying.pop().unwrap().finish(Outcome::Success);
        assert_eq!(limiter.in_flight(), left);
        assert!(tickets.iter_mut().all(|ticket| poll_ticket(ticket).is_pending()), "{left} are in flight");
    }
    for (next, ticket) in tickets.iter_mut().enumerate() {
        flying.remove(0).finish(Outcome::Success);
        let Poll::Ready(permit) = poll_ticket(ticket) else { panic!("{next} is next") };
        flying.push(permit);
        assert!(limiter.in_flight() <= 5);
    }
    flying.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    let counts = limiter.gauge().snapshot().counts;
    assert_eq!((counts.delivered, counts.in_flight, counts.queued), (250, 0, 0));
}

#[test]
fn s4_a_limit_that_grows_lets_those_that_wait_in_at_once() {
    let limiter = Limiter::fixed(1).unwrap();
    let _flying = limiter.try_admit(Level::default()).unwrap();
    let mut tickets: Vec<_> = (0..3).map(|_| ticket(&limiter)).collect();
    limiter.set_limit(Fixed::new(3).unwrap());
    let admitted: Vec<_> = tickets.iter_mut().map(poll_ticket).collect();
    assert_eq!(admitted.iter().map(Poll::is_ready).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn s2_a_service_that_is_dropped_ready_frees_its_slot() {
    let (mut service, _, handle) = waiting(1);
    assert!(is_ready(&mut service));
    assert_eq!(handle.limiter().in_flight(), 1);
    let mut other = service.clone();
    let task = Task::new();
    assert!(!is_ready_by(&task, &mut other), "a clone has no slot");
    drop(service);
    assert_eq!(task.wakes(), 1);
    assert!(is_ready_by(&task, &mut other));
}

#[test]
fn d4_being_asked_again_takes_no_second_slot() {
    let (mut service, desk, handle) = waiting(2);
    (0..10).for_each(|_| assert!(is_ready(&mut service)));
    assert_eq!(handle.limiter().in_flight(), 1);
    let mut response = Box::pin(service.call(1));
    assert!(poll(response.as_mut()).is_pending());
    assert_eq!((handle.limiter().in_flight(), desk.made()), (1, 1));
    desk.answer(Ok(1));
    assert!(poll(response.as_mut()).is_ready());
    assert_eq!(handle.limiter().in_flight(), 0);
}

#[test]
fn o4_services_that_wait_are_served_in_their_order_and_one_that_leaves_hands_on() {
    let (mut first, _, handle) = waiting(1);
    assert!(is_ready(&mut first));
    let mut others: Vec<_> = (0..3).map(|_| (Task::new(), first.clone())).collect();
    others.iter_mut().for_each(|(task, service)| assert!(!is_ready_by(task, service)));
    drop(first);
    assert_eq!(others.iter().map(|(task, _)| task.wakes()).collect::<Vec<_>>(), [1, 0, 0]);
    drop(others.remove(0));
    assert_eq!(others.iter().map(|(task, _)| task.wakes()).collect::<Vec<_>>(), [1, 0]);
    assert_eq!((handle.limiter().in_flight(), handle.limiter().waiting()), (1, 1));
}

#[test]
fn w1_the_latest_waker_is_the_one_that_is_woken() {
    let (mut first, _, _) = waiting(1);
    assert!(is_ready(&mut first));
    let mut other = first.clone();
    let (early, late) = (Task::new(), Task::new());
    assert!(!is_ready_by(&early, &mut other) && !is_ready_by(&late, &mut other));
    drop(first);
    assert_eq!((early.wakes(), late.wakes()), (0, 1));
}

/// A part that is watched, of one slot.
struct Part {
    buffer: BoundedBuffer<()>,
    recorder: Recorder,
}

impl Part {
    fn new() -> Self {
        let config = BackpressureConfig::builder().capacity(1).build().unwrap();
        let recorder = Recorder::new(&config, std::time::Instant::now, false);
        Self { buffer: BoundedBuffer::new(&config), recorder }
    }

    fn gauge(&self) -> Gauge {
        self.recorder.gauge()
    }

    fn block(&mut self) {
        assert!(self.buffer.offer((), Tag::default()).is_accepted());
        self.publish(Moved::NOTHING);
    }

    fn relieve(&mut self) {
        assert!(self.buffer.pop().is_some());
        self.publish(Moved::taken(1));
    }

    fn publish(&mut self, moved: Moved) {
        if self.recorder.update(&self.buffer, moved) {
            self.recorder.reporter().notify();
        }
    }
}

#[test]
fn w2_a_service_that_waits_is_pending_while_what_it_watches_is_blocked_and_wakes_on_the_edge() {
    let mut part = Part::new();
    let layer = ShedLayer::builder().watch(part.gauge()).wait().build();
    let mut service = layer.layer(Desk::new());
    assert!(is_ready(&mut service.clone()));
    part.block();
    let task = Task::new();
    assert!(!is_ready_by(&task, &mut service));
    assert_eq!((layer.handle().limiter().in_flight(), task.wakes()), (0, 0), "it hoards nothing meanwhile");
    part.relieve();
    assert_eq!(task.wakes(), 1);
    assert!(is_ready_by(&task, &mut service));
}

#[test]
fn w6_a_forced_state_holds_back_and_its_end_wakes() {
    let layer = ShedLayer::builder().wait().build();
    let (handle, mut service, task) = (layer.handle(), layer.layer(Desk::new()), Task::new());
    handle.force(Some(State::Blocked));
    assert!(!is_ready_by(&task, &mut service) && !is_ready_by(&task, &mut service));
    handle.force(None);
    assert_eq!(task.wakes(), 1);
    assert!(is_ready_by(&task, &mut service));
}

#[tokio::test(start_paused = true)]
async fn t4_a_service_that_waits_is_let_go_when_the_layer_drains_and_its_call_is_shed() {
    let (mut first, _, handle) = waiting(1);
    let _flying = call(&mut first);
    let (mut queued, task) = (first.clone(), Task::new());
    assert!(!is_ready_by(&task, &mut queued));
    let mut drain = Box::pin(handle.drain(MS));
    assert!(poll(drain.as_mut()).is_pending());
    assert_eq!(task.wakes(), 1);
    let overloaded = refusal(poll(call(&mut queued).as_mut())).expect("shed");
    assert!(overloaded.is_draining());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_in_the_queue_for_50_ms_and_is_then_shed() {
    let (mut service, desk, handle) = queued(1);
    let mut first = call(&mut service);
    assert!(poll(first.as_mut()).is_pending());
    let start = tokio::time::Instant::now();
    let mut second = call(&mut service);
    let (task, overloaded) = (Task::new(), (&mut second).await.unwrap_err());
    assert_eq!(start.elapsed(), 50 * MS);
    assert_eq!(overloaded.overloaded().map(|shed| shed.reason()), Some(ShedReason::QueueTimeout));
    assert_eq!(handle.counts().shed(ShedReason::QueueTimeout), 1);

    let mut third = call(&mut service);
    assert!(poll_by(&task, third.as_mut()).is_pending());
    desk.answer(Ok(1));
    assert!(poll(first.as_mut()).is_ready());
    assert_eq!(task.wakes(), 1);
    assert!(poll(third.as_mut()).is_pending());
    assert_eq!(desk.made(), 2);
    let counts = handle.gauge().snapshot().counts;
    assert_eq!((counts.received, counts.rejected, counts.in_flight, counts.queued), (3, 1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_own_deadline_cannot_be_met_does_not_wait_and_one_whose_deadline_comes_is_shed() {
    let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).build();
    let handle = layer.handle();
    let hurry = layer.wait_timeout(|request: &u32| Some(Duration::from_millis(u64::from(*request))));
    let mut service = hurry.layer(Desk::new());
    let reason =
        |answer: Result<u32, backpressure_tower::ShedError<_>>| answer.unwrap_err().overloaded().unwrap().reason();
    let _first = call(&mut service);
    assert!(is_ready(&mut service));
    assert_eq!(reason(service.call(0).await), ShedReason::Deadline);
    let start = tokio::time::Instant::now();
    assert!(is_ready(&mut service));
    assert_eq!(reason(service.call(10).await), ShedReason::Deadline);
    assert_eq!((start.elapsed(), handle.counts().shed(ShedReason::Deadline)), (10 * MS, 2));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sheds_and_the_most_important_class_is_served_first() {
    let limiter = Limiter::builder().limit(Fixed::new(1).unwrap()).queue(CoDel::new()).build();
    let _flying = limiter.try_admit(Level::default()).unwrap();
    let enter = |class: Criticality| limiter.acquire(class.into(), None);
    let queue = |entry| match entry {
        Ok(Entry::Queued(ticket)) => ticket,
        other => panic!("{other:?}"),
    };
    let mut plain: Vec<_> = (0..15).map(|_| queue(enter(Criticality::Critical))).collect();
    let mut important = queue(enter(Criticality::CriticalPlus));
    assert_eq!(enter(Criticality::Critical).unwrap_err().reason(), ShedReason::QueueFull);
    drop(_flying);
    assert!(plain.iter_mut().all(|ticket| poll_ticket(ticket).is_pending()));
    assert!(poll_ticket(&mut important).is_ready());
}

#[tokio::test(start_paused = true)]
async fn w3_a_queue_at_rest_wakes_nobody() {
    let (mut service, _, _) = queued(1);
    let _first = call(&mut service);
    let (task, mut second) = (Task::new(), call(&mut service));
    assert!(poll_by(&task, second.as_mut()).is_pending());
    tokio::time::advance(49 * MS).await;
    assert_eq!(task.wakes(), 0);
}

/// Polls with a waker that panics when it is woken.
fn poll_badly(ticket: &mut QueuedCall) -> bool {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker");
        }
    }
    ticket.poll_admitted(&Context::from_waker(&Waker::from(std::sync::Arc::new(Panics)))).is_pending()
}

#[test]
fn w5_a_waker_that_panics_keeps_nobody_else_waiting() {
    for drains in [false, true] {
        let limiter = Limiter::fixed(1).unwrap();
        let flying = limiter.try_admit(Level::default()).unwrap();
        let mut tickets: Vec<_> = (0..3).map(|_| ticket(&limiter)).collect();
        let tasks = [(), (), ()].map(|()| Task::new());
        for (n, (ticket, task)) in tickets.iter_mut().zip(&tasks).enumerate() {
            let waits = if n == 1 {
                poll_badly(ticket)
            } else {
                ticket.poll_admitted(&Context::from_waker(&task.waker())).is_pending()
            };
            assert!(waits);
        }
        let act = || if drains { limiter.drain() } else { limiter.set_limit(Fixed::new(4).unwrap()) };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err(), "the panic goes on");
        assert_eq!((tasks[0].wakes(), tasks[2].wakes()), (1, 1));
        let polled = tickets.iter_mut().map(|ticket| ticket.poll_admitted(&Context::from_waker(Waker::noop())));
        assert!(polled.map(|polled| matches!(polled, Poll::Ready(Ok(_)))).all(|admitted| admitted != drains));
        drop(flying);
    }
}

#[test]
fn where_there_is_no_timer_a_call_that_would_wait_in_the_queue_is_shed_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut service, desk, handle) = queued(1);
        let mut first = call(&mut service);
        assert!(poll(first.as_mut()).is_pending());
        let overloaded = refusal(poll(call(&mut service).as_mut())).expect("shed");
        assert_eq!(overloaded.reason(), ShedReason::QueueTimeout);
        assert_eq!(handle.counts().shed(ShedReason::QueueTimeout), 1);
        desk.answer(Ok(1));
        assert!(poll(first.as_mut()).is_ready());
        let counts = handle.gauge().snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!((counts.received, counts.rejected, counts.in_flight, counts.queued), (2, 1, 0, 0));
    });
}
