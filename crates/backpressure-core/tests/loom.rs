//! The instruments under every interleaving of two threads, through the public API.
#![cfg(backpressure_loom)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use backpressure_core::{
    BackpressureConfig, BoundedBuffer, BufferHandle, Changed, DropReason, Gauge, Moved, Recorder, Reporter, State, Tag,
};
use loom::sync::Notify;
use loom::thread;

struct Part {
    buffer: BoundedBuffer<u8>,
    recorder: Recorder,
    reporter: Reporter,
    gauge: Gauge,
}

impl Part {
    fn new(capacity: usize, tracked: bool) -> Self {
        let config = BackpressureConfig::builder().capacity(capacity).build().unwrap();
        let recorder = Recorder::new(&config, clock, tracked);
        Self { buffer: BoundedBuffer::new(&config), reporter: recorder.reporter(), gauge: recorder.gauge(), recorder }
    }

    fn push(&mut self) {
        assert!(self.buffer.offer(0, Tag::default()).is_accepted());
        self.publish(Moved::NOTHING);
    }

    fn pop(&mut self) {
        assert!(self.buffer.pop().is_some());
        self.publish(Moved::taken(1));
    }

    fn publish(&mut self, moved: Moved) {
        if self.recorder.update(&self.buffer, moved) {
            self.reporter.notify();
        }
    }
}

fn clock() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// A waker for a thread that waits for it.
struct Wakeup(Notify);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn poll(changed: &mut Changed, waker: &Waker) -> Poll<State> {
    Pin::new(changed).poll(&mut Context::from_waker(waker))
}

/// Waits for the waker alone: a lost wake is a deadlock, which loom reports.
fn block_on(mut changed: Changed) -> State {
    let wakeup = Arc::new(Wakeup(Notify::new()));
    let waker = Waker::from(Arc::clone(&wakeup));
    loop {
        match poll(&mut changed, &waker) {
            Poll::Ready(state) => return state,
            Poll::Pending => wakeup.0.wait(),
        }
    }
}

#[test]
fn c1_counts_balance_at_every_observation() {
    loom::model(|| {
        let mut part = Part::new(4, false);
        let gauge = part.gauge.clone();
        let writer = thread::spawn(move || {
            part.push();
            part.pop();
        });
        let counts = gauge.snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        writer.join().unwrap();
        let counts = gauge.snapshot().counts;
        assert_eq!((counts.received, counts.delivered, counts.queued), (1, 1, 0));
    });
}

#[test]
fn c1_an_item_that_goes_past_the_buffer_counts_on_both_sides_at_once() {
    for tracked in [false, true] {
        loom::model(move || {
            let mut part = Part::new(4, tracked);
            let gauge = part.gauge.clone();
            let writer = thread::spawn(move || {
                part.recorder.passed();
                if tracked {
                    part.reporter.delivered(1);
                }
            });
            let counts = gauge.snapshot().counts;
            assert!(counts.balances(), "{counts:?}");
            writer.join().unwrap();
            let counts = gauge.snapshot().counts;
            assert_eq!((counts.received, counts.delivered, counts.in_flight), (1, 1, 0));
        });
    }
}

#[test]
fn c1_discards_are_part_of_the_same_instant() {
    loom::model(|| {
        let mut part = Part::new(4, false);
        part.push();
        let gauge = part.gauge.clone();
        let writer = thread::spawn(move || {
            part.buffer.pop();
            part.publish(Moved::discarded(DropReason::Evicted, 1));
        });
        let counts = gauge.snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!(counts.evicted() + counts.queued, 1);
        writer.join().unwrap();
    });
}

#[test]
fn m1_what_is_in_flight_is_never_negative_whoever_settles_it() {
    let deliver: fn(Reporter) = |reporter| reporter.delivered(1);
    let lose: fn(Reporter) = |reporter| reporter.lost(DropReason::Failed, 1);
    for settle in [deliver, lose] {
        loom::model(move || {
            let mut part = Part::new(4, true);
            part.push();
            let gauge = part.gauge.clone();
            let writer = thread::spawn(move || {
                part.pop();
                let reporter = part.reporter.clone();
                thread::spawn(move || settle(reporter)).join().unwrap();
            });
            let counts = gauge.snapshot().counts;
            assert!(counts.balances(), "{counts:?}");
            assert_eq!(counts.queued + counts.in_flight + counts.delivered + counts.failed(), 1, "{counts:?}");
            writer.join().unwrap();
        });
    }
}

#[test]
fn m2_what_is_said_of_a_part_that_has_ended_is_all_that_it_will_ever_say() {
    loom::model(|| {
        let mut part = Part::new(4, false);
        let gauge = part.gauge.clone();
        let owner = thread::spawn(move || {
            part.push();
            drop(part);
        });
        let seen = gauge.snapshot();
        assert!(!seen.ended || seen.counts.received == 1, "{seen:?}");
        owner.join().unwrap();
        assert!(gauge.snapshot().ended);
    });
}

#[test]
fn w2_no_wake_is_lost_between_looking_and_registering() {
    loom::model(|| {
        let mut part = Part::new(1, false);
        let gauge = part.gauge.clone();
        let writer = thread::spawn(move || {
            part.push();
            part
        });
        assert_eq!(block_on(gauge.changed_from(State::Normal)), State::Blocked);
        drop(writer.join().unwrap());
    });
}

#[test]
fn w4_a_part_that_is_dropped_wakes_who_watches_it() {
    loom::model(|| {
        let part = Part::new(1, false);
        let gauge = part.gauge.clone();
        let owner = thread::spawn(move || drop(part));
        assert_eq!(block_on(gauge.changed_from(State::Normal)), State::Draining);
        owner.join().unwrap();
    });
}

#[test]
fn w4_every_watcher_is_woken() {
    loom::model(|| {
        let mut part = Part::new(1, false);
        let gauges = [part.gauge.clone(), part.gauge.clone()];
        let watchers = gauges.map(|gauge| thread::spawn(move || block_on(gauge.changed_from(State::Normal))));
        part.push();
        for watcher in watchers {
            assert_eq!(watcher.join().unwrap(), State::Blocked);
        }
    });
}

#[test]
fn a_change_is_never_to_the_state_it_was() {
    loom::model(|| {
        let mut part = Part::new(1, false);
        let mut changed = part.gauge.changed_from(State::Normal);
        let writer = thread::spawn(move || {
            part.push();
            part.pop();
        });
        if let Poll::Ready(state) = poll(&mut changed, Waker::noop()) {
            assert_ne!(state, State::Normal);
        }
        writer.join().unwrap();
    });
}

#[test]
fn x1_a_watcher_dropped_amid_a_notification_leaves_nothing_behind() {
    loom::model(|| {
        let mut part = Part::new(1, false);
        let mut changed = part.gauge.changed();
        let wakeup = Arc::new(Wakeup(Notify::new()));
        assert!(poll(&mut changed, &Waker::from(Arc::clone(&wakeup))).is_pending());
        let writer = thread::spawn(move || part.push());
        drop(changed);
        writer.join().unwrap();
        assert_eq!(Arc::strong_count(&wakeup), 1);
    });
}

#[test]
fn m2_no_time_is_told_twice() {
    static ELAPSED: AtomicU64 = AtomicU64::new(0);
    fn stepped() -> Instant {
        clock() + Duration::from_secs(ELAPSED.load(Ordering::Relaxed))
    }

    loom::model(|| {
        ELAPSED.store(0, Ordering::Relaxed);
        let config = BackpressureConfig::builder().capacity(1).build().unwrap();
        let mut buffer = BoundedBuffer::new(&config);
        let mut recorder = Recorder::new(&config, stepped, false);
        let gauge = recorder.gauge();
        recorder.reporter().start_timing(stepped());
        ELAPSED.store(1, Ordering::Relaxed);
        let writer = thread::spawn(move || {
            assert!(buffer.offer(0, Tag::default()).is_accepted());
            assert!(recorder.update(&buffer, Moved::NOTHING));
        });
        let told = gauge.snapshot().time_in_state;
        assert_eq!(told, [1, 0, 0, 0, 0].map(Duration::from_secs));
        writer.join().unwrap();
    });
}

#[test]
fn w6_a_task_that_is_about_to_wait_meets_a_reconfiguration() {
    loom::model(|| {
        let part = Part::new(1, false);
        let config = BackpressureConfig::builder().capacity(1).build().unwrap();
        let larger = config.to_builder().capacity(2).build().unwrap();
        let handle = BufferHandle::new(config, part.gauge.clone());
        let (other, expected) = (handle.clone(), larger.clone());
        let reconfigures = thread::spawn(move || other.reconfigure(larger).unwrap());
        let wakeup = Arc::new(Wakeup(Notify::new()));
        let waker = Waker::from(Arc::clone(&wakeup));
        let taken = loop {
            match handle.take() {
                Some(config) => break config,
                None if handle.wait(&waker) => wakeup.0.wait(),
                None => {}
            }
        };
        assert_eq!(taken, expected);
        reconfigures.join().unwrap();
        assert!(handle.take().is_none());
    });
}
