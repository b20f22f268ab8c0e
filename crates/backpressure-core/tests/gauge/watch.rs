//! The state as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use backpressure_core::{Gauge, State, Watch};
use futures_core::Stream;

use crate::part::{Part, Wakes};

fn next(watch: &mut Watch, waker: &Waker) -> Poll<Option<State>> {
    Pin::new(watch).poll_next(&mut Context::from_waker(waker))
}

#[test]
fn t1_it_yields_the_state_now_then_each_change_and_ends_after_draining() {
    let mut part = Part::of(2);
    let (wakes, waker) = Wakes::new();
    let mut watch = part.gauge.watch();
    assert_eq!(next(&mut watch, &waker), Poll::Ready(Some(State::Normal)));
    for (items, state) in [(1, State::Elevated), (2, State::Blocked), (1, State::Elevated), (0, State::Normal)] {
        let woken = wakes.count();
        assert_eq!(next(&mut watch, &waker), Poll::Pending);
        part.hold(items);
        assert_eq!(wakes.count(), woken + 1);
        assert_eq!(next(&mut watch, &waker), Poll::Ready(Some(state)));
    }
    part.drain();
    assert_eq!(next(&mut watch, &waker), Poll::Ready(Some(State::Draining)));
    part.hold(2);
    for _ in 0..3 {
        assert_eq!(next(&mut watch, &waker), Poll::Ready(None));
    }
}

#[test]
fn changes_that_come_too_fast_are_merged() {
    let mut part = Part::of(10);
    let (wakes, waker) = Wakes::new();
    let mut watch = part.gauge.watch();
    assert_eq!(next(&mut watch, &waker), Poll::Ready(Some(State::Normal)));
    part.hold(10);
    assert_eq!(next(&mut watch, &waker), Poll::Ready(Some(State::Blocked)), "nothing between is told");
    assert_eq!(next(&mut watch, &waker), Poll::Pending);
    part.hold(0);
    part.hold(10);
    assert_eq!((wakes.count(), next(&mut watch, &waker)), (1, Poll::Pending), "there and back is no change");
}

#[test]
fn it_starts_with_what_is_first_seen_and_may_start_at_the_end() {
    let mut part = Part::of(2);
    let mut early = part.gauge.watch();
    part.hold(2);
    assert_eq!(next(&mut early, Waker::noop()), Poll::Ready(Some(State::Blocked)));
    part.drain();
    let mut late = part.gauge.watch();
    assert_eq!(next(&mut late, Waker::noop()), Poll::Ready(Some(State::Draining)));
    assert_eq!(next(&mut late, Waker::noop()), Poll::Ready(None));
}

#[test]
fn the_worst_of_several_can_be_watched() {
    let (mut one, mut other) = (Part::of(1), Part::of(2));
    let mut watch = Gauge::worst_of([one.gauge.clone(), other.gauge.clone()]).watch();
    assert_eq!(next(&mut watch, Waker::noop()), Poll::Ready(Some(State::Normal)));
    other.hold(1);
    assert_eq!(next(&mut watch, Waker::noop()), Poll::Ready(Some(State::Elevated)));
    one.hold(1);
    assert_eq!(next(&mut watch, Waker::noop()), Poll::Ready(Some(State::Blocked)));
    other.drain();
    assert_eq!(next(&mut watch, Waker::noop()), Poll::Ready(Some(State::Draining)));
    assert_eq!(next(&mut watch, Waker::noop()), Poll::Ready(None));
}

#[test]
fn t6_a_dropped_watch_leaves_nothing_behind() {
    let part = Part::of(1);
    let (wakes, waker) = Wakes::new();
    let mut watch = part.gauge.watch();
    assert!(next(&mut watch, &waker).is_ready());
    assert!(next(&mut watch, &waker).is_pending());
    drop(waker);
    drop(watch);
    assert_eq!(Arc::strong_count(&wakes), 1);
}

#[test]
fn w5_a_watcher_that_panics_keeps_no_other_from_being_woken() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a watcher");
        }
    }
    let mut part = Part::of(2);
    let (wakes, waker) = Wakes::new();
    let panics = Waker::from(Arc::new(Panics));
    let mut watches = [waker.clone(), panics, waker].map(|waker| {
        let mut watch = part.gauge.watch();
        assert_eq!(next(&mut watch, &waker), Poll::Ready(Some(State::Normal)));
        assert_eq!(next(&mut watch, &waker), Poll::Pending);
        watch
    });
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| part.hold(1)));
    assert!(held.is_err(), "the panic goes on");
    assert_eq!(wakes.count(), 2);
    assert_eq!(next(&mut watches[2], Waker::noop()), Poll::Ready(Some(State::Elevated)));
}
