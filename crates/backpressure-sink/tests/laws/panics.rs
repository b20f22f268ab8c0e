//! W5: a waker that panics keeps nobody from being woken, and loses no item unseen.

use std::future::Pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use backpressure_core::{DropReason, Gauge};
use backpressure_sink::{BackpressureSink, BackpressureSinkExt, ServiceSink};
use tower::Service;

use crate::kit::{Poke, Probe, Task, assert_balanced, config, poll};

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

fn bad() -> Waker {
    Waker::from(Arc::new(Panics))
}

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// Waits, with this waker, for the state to change.
fn watch(gauge: &Gauge, waker: &Waker) -> impl Future + use<> {
    let mut changed = Box::pin(gauge.changed());
    assert!(changed.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    changed
}

type Lost = Arc<Mutex<Vec<(u32, DropReason)>>>;

/// A sink of one item before one that takes nothing, and what its hook was given.
fn sink() -> (BackpressureSink<Probe<u32>, u32>, Probe<u32>, Lost) {
    let (probe, lost) = (Probe::with_room(0), Lost::default());
    let given = Arc::clone(&lost);
    let sink = probe.clone().bounded(config(|c| c.capacity(1)));
    (sink.on_drop(move |item, reason| given.lock().unwrap().push((item, reason))), probe, lost)
}

#[test]
fn c3_the_remainder_that_a_panic_cuts_off_goes_to_the_hook() {
    let task = Task::new();
    let (mut sink, _, lost) = sink();
    assert!(sink.offer(0, &task).is_ready());
    let _changed = watch(&sink.gauge(), &bad());
    assert!(panics(|| drop(sink.take_remainder())));
    assert_eq!(*lost.lock().unwrap(), [(0, DropReason::Closed)]);
    assert_balanced(&sink.gauge());
}

#[test]
fn c3_so_it_is_if_the_sink_is_driven() {
    let task = Task::new();
    let (sink, _, lost) = sink();
    let (mut sink, _driver) = sink.drive();
    assert!(sink.offer(0, &task).is_ready());
    let _changed = watch(&sink.gauge(), &bad());
    assert!(panics(|| drop(sink.take_remainder())));
    assert_eq!(*lost.lock().unwrap(), [(0, DropReason::Closed)]);
    assert_balanced(&sink.gauge());
}

#[test]
fn c3_an_item_whose_producer_panics_when_it_is_woken_has_failed() {
    let task = Task::new();
    let (sink, probe, lost) = sink();
    let (mut sink, mut driver) = sink.drive();
    assert!(sink.offer(0, &task).is_ready());
    let pinned = std::pin::Pin::new(&mut sink);
    assert!(futures_util::Sink::poll_ready(pinned, &mut Context::from_waker(&bad())).is_pending());
    probe.make_room(1);
    assert!(panics(|| assert!(poll(&mut driver, &task).is_pending())));
    assert_eq!(*lost.lock().unwrap(), [(0, DropReason::Failed)]);
    assert_eq!((sink.gauge().snapshot().counts.queued, probe.got()), (0, vec![]));
    assert_balanced(&sink.gauge());
    assert!(sink.offer(1, &task).is_ready());
    assert!(poll(&mut driver, &task).is_pending());
    assert_eq!(probe.got(), [1]);
}

#[test]
fn w5_a_driver_that_panics_when_it_is_woken_keeps_no_watcher_asleep() {
    let (user, watcher) = (Task::new(), Task::new());
    let (sink, _, _) = sink();
    let (mut sink, mut driver) = sink.drive();
    assert!(std::pin::Pin::new(&mut driver).poll(&mut Context::from_waker(&bad())).is_pending());
    let _changed = watch(&sink.gauge(), &watcher.waker());
    assert!(panics(|| assert!(sink.offer(0, &user).is_ready())));
    assert_eq!((sink.gauge().snapshot().counts.queued, watcher.wakes()), (1, 1));
}

/// Never answers.
struct Silent;

impl Service<u32> for Silent {
    type Response = ();
    type Error = ();
    type Future = Pending<Result<(), ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        std::future::pending()
    }
}

#[test]
fn c1_calls_are_counted_as_lost_even_if_a_watcher_panics() {
    let task = Task::new();
    let mut sink = ServiceSink::new(Silent).concurrency(4).unwrap();
    let gauge = sink.gauge();
    for item in 0..4 {
        assert!(sink.offer(item, &task).is_ready());
    }
    let _changed = watch(&gauge, &bad());
    assert!(panics(|| drop(sink)));
    let counts = gauge.snapshot().counts;
    assert_eq!((counts.in_flight, counts.lost(DropReason::Closed)), (0, 4));
    assert_balanced(&gauge);
}
