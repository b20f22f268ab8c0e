//! Edges, and waiting for them.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use backpressure_core::{Changed, Gauge, Moved, Snapshot, State};

use crate::part::{Part, Wakes, poll};

#[test]
fn the_state_follows_the_depth_at_every_edge() {
    let mut part = Part::of(10);
    let rising = (0..=10).map(|items| {
        part.hold(items);
        part.gauge.state()
    });
    let expected = [[State::Normal; 5].as_slice(), &[State::Elevated; 3], &[State::Critical; 2], &[State::Blocked]];
    assert!(rising.eq(expected.concat()));
    part.hold(0);
    assert_eq!((part.gauge.state(), part.gauge.utilization()), (State::Normal, 0.0));
    assert_eq!(part.gauge.snapshot().transitions, 6);
}

#[test]
fn draining_latches_whatever_the_depth() {
    let mut part = Part::of(2);
    part.hold(2);
    assert!(part.recorder.drain(), "the first time it is news");
    assert!(!part.recorder.drain());
    part.hold(0);
    assert_eq!(part.gauge.state(), State::Draining);
    assert_eq!(part.gauge.utilization(), 0.0, "the depth is still told");
    assert_eq!(part.gauge.snapshot().counts.delivered, 2);
}

#[test]
fn changed_from_another_state_resolves_at_once() {
    let part = Part::of(2);
    let (wakes, waker) = Wakes::new();
    assert_eq!(poll(&mut part.gauge.changed_from(State::Blocked), &waker), Poll::Ready(State::Normal));
    assert_eq!(poll(&mut part.gauge.changed(), &waker), Poll::Pending);
    assert_eq!(wakes.count(), 0);
}

#[test]
fn w4_an_edge_wakes_everyone_once() {
    let mut part = Part::of(2);
    let mut watchers: Vec<_> = (0..3).map(|_| (part.gauge.changed(), Wakes::new())).collect();
    for (changed, (_, waker)) in &mut watchers {
        assert_eq!(poll(changed, waker), Poll::Pending);
    }
    part.hold(2);
    part.hold(0);
    part.hold(1);
    for (changed, (wakes, waker)) in &mut watchers {
        assert_eq!(wakes.count(), 1, "nobody who was woken is woken again before it has looked");
        assert_eq!(poll(changed, waker), Poll::Ready(State::Elevated));
    }
}

#[test]
fn w1_the_latest_waker_is_kept() {
    let mut part = Part::of(2);
    let (old_wakes, old) = Wakes::new();
    let (new_wakes, new) = Wakes::new();
    let mut changed = part.gauge.changed();
    for waker in [&old, &old, &new] {
        assert_eq!(poll(&mut changed, waker), Poll::Pending);
    }
    drop(old);
    assert_eq!(Arc::strong_count(&old_wakes), 1, "the waker that was replaced is gone");
    part.hold(1);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
}

#[test]
fn w3_what_is_no_edge_wakes_nobody() {
    let mut part = Part::of(100);
    let (wakes, waker) = Wakes::new();
    let mut changed = part.gauge.changed();
    assert_eq!(poll(&mut changed, &waker), Poll::Pending);
    part.hold(49);
    part.hold(0);
    assert_eq!(wakes.count(), 0);
    assert_eq!(poll(&mut changed, &waker), Poll::Pending);
}

#[test]
fn no_edge_is_missed_by_one_who_goes_on_from_the_last_answer() {
    let mut part = Part::of(10);
    let (wakes, waker) = Wakes::new();
    let mut seen = vec![part.gauge.state()];
    let mut changed = part.gauge.changed();
    for items in [4, 5, 8, 9, 10, 9, 7, 5, 4, 10, 0] {
        let (before, woken) = (part.gauge.state(), wakes.count());
        assert!(poll(&mut changed, &waker).is_pending());
        let mut edges = 0;
        while part.buffer.len() != items {
            let state = part.gauge.state();
            part.hold(if part.buffer.len() < items { part.buffer.len() + 1 } else { part.buffer.len() - 1 });
            edges += usize::from(part.gauge.state() != state);
        }
        assert_eq!(wakes.count() - woken, edges.min(1));
        if let Poll::Ready(state) = poll(&mut changed, &waker) {
            assert_ne!(state, before);
            seen.push(state);
            changed = part.gauge.changed_from(state);
        }
    }
    let expected = "normal elevated critical blocked critical elevated normal blocked normal";
    assert_eq!(seen.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" "), expected);
}

#[test]
fn an_edge_between_two_calls_is_not_missed() {
    let mut part = Part::of(2);
    let (_, waker) = Wakes::new();
    let state = part.gauge.state();
    part.hold(2);
    assert_eq!(poll(&mut part.gauge.changed_from(state), &waker), Poll::Ready(State::Blocked));
}

#[test]
fn x1_t6_a_dropped_watcher_leaves_nothing_behind() {
    let mut part = Part::of(2);
    let other = Part::of(2);
    let both = Gauge::worst_of([part.gauge.clone(), other.gauge.clone()]);
    for gauge in [&part.gauge, &both] {
        let (wakes, waker) = Wakes::new();
        let mut changed = gauge.changed();
        assert_eq!(poll(&mut changed, &waker), Poll::Pending);
        drop(waker);
        assert!(Arc::strong_count(&wakes) > 1);
        drop(changed);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
    part.hold(2);
}

#[test]
fn w5_wakers_may_re_enter() {
    /// Watches again from inside its own wake.
    struct Again {
        gauge: Gauge,
        next: Mutex<Option<Changed>>,
        snapshots: Mutex<Vec<Snapshot>>,
    }

    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let mut next = self.gauge.changed();
            assert!(poll(&mut next, &Waker::from(Arc::clone(&self))).is_pending());
            drop(self.next.lock().unwrap().replace(next));
            self.snapshots.lock().unwrap().push(self.gauge.snapshot());
        }
    }

    let mut part = Part::of(1);
    let again = Arc::new(Again { gauge: part.gauge.clone(), next: Mutex::default(), snapshots: Mutex::default() });
    Arc::clone(&again).wake();
    part.hold(1);
    part.hold(0);
    let states: Vec<_> = again.snapshots.lock().unwrap().iter().map(|snapshot| snapshot.state).collect();
    assert_eq!(states, [State::Normal, State::Blocked, State::Normal]);
    again.next.lock().unwrap().take();
}

#[test]
fn w5_a_waker_may_own_a_watcher_and_be_replaced() {
    struct Owner(#[expect(dead_code, reason = "owned only to be dropped")] Mutex<Changed>);

    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }

    let (done, finished) = mpsc::channel();
    // A thread of its own, so that a deadlock is a failure and not a hang.
    std::thread::spawn(move || {
        let part = Part::of(1);
        let mut owned = part.gauge.changed();
        assert!(poll(&mut owned, Waker::noop()).is_pending());
        let owner = Waker::from(Arc::new(Owner(Mutex::new(owned))));
        let mut changed = part.gauge.changed();
        assert!(poll(&mut changed, &owner).is_pending());
        drop(owner);
        assert!(poll(&mut changed, Waker::noop()).is_pending());
        let _ = done.send(());
    });
    assert_eq!(finished.recv_timeout(Duration::from_secs(10)), Ok(()));
}

#[test]
fn the_worst_of_several_is_what_counts() {
    let (mut small, mut large) = (Part::of(2), Part::of(10));
    let worst = Gauge::worst_of([small.gauge.clone(), large.gauge.clone()]);
    let (wakes, waker) = Wakes::new();
    let mut changed = worst.changed();
    assert_eq!(poll(&mut changed, &waker), Poll::Pending);

    large.hold(5);
    assert_eq!((worst.state(), worst.utilization()), (State::Elevated, 0.5));
    assert_eq!((wakes.count(), poll(&mut changed, &waker)), (1, Poll::Ready(State::Elevated)));

    changed = worst.changed();
    assert_eq!(poll(&mut changed, &waker), Poll::Pending);
    small.hold(1);
    assert_eq!((wakes.count(), poll(&mut changed, &waker)), (2, Poll::Pending), "an edge, but not of the worst");
    small.hold(2);
    assert_eq!((wakes.count(), poll(&mut changed, &waker)), (3, Poll::Ready(State::Blocked)));

    large.drain();
    assert_eq!(worst.state(), State::Draining);
}

#[test]
fn a_snapshot_of_several_adds_up() {
    let (mut small, mut large) = (Part::of(2), Part::of(10));
    small.hold(2);
    small.hold(1);
    large.hold(6);
    let worst = Gauge::worst_of([small.gauge, large.gauge]);
    let snapshot = Gauge::worst_of([worst]).snapshot();
    assert_eq!((snapshot.state, snapshot.utilization, snapshot.capacity), (State::Elevated, 0.6, 12));
    let counts = snapshot.counts;
    assert!(counts.balances());
    assert_eq!((counts.received, counts.queued, counts.delivered, counts.in_flight), (8, 7, 1, 0));
}

#[test]
fn the_worst_of_nothing_is_normal() {
    let nothing = Gauge::worst_of([]);
    assert_eq!((nothing.state(), nothing.utilization()), (State::Normal, 0.0));
    assert_eq!(nothing.snapshot(), Snapshot::default());
    assert!(poll(&mut nothing.changed(), Waker::noop()).is_pending());
}

#[test]
fn while_something_waits_that_the_bounds_do_not_show_the_state_is_blocked() {
    let mut part = Part::of(10);
    part.hold(1);
    let (wakes, waker) = Wakes::new();
    let mut changed = part.gauge.changed();
    assert_eq!(poll(&mut changed, &waker), Poll::Pending);
    part.recorder.stall(true);
    part.publish(Moved::NOTHING);
    assert_eq!((poll(&mut changed, &waker), wakes.count()), (Poll::Ready(State::Blocked), 1));
    part.hold(6);
    assert_eq!((part.gauge.state(), part.gauge.utilization()), (State::Blocked, 0.6));
    part.recorder.stall(false);
    part.publish(Moved::NOTHING);
    assert_eq!(part.gauge.state(), State::Elevated, "what the bounds show");

    part.recorder.stall(true);
    part.drain();
    part.publish(Moved::NOTHING);
    assert_eq!(part.gauge.state(), State::Draining);
}
