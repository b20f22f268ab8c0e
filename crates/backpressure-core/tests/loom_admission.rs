//! The books of calls in flight under every interleaving of a few threads, through the public API.
#![cfg(backpressure_loom)]

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use backpressure_core::{AdmissionMeter, Counts, DropReason};
use loom::sync::Mutex;
use loom::thread;

fn clock() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    // A look at the books reads every cell twice.
    builder.max_branches = 5_000;
    builder.check(run);
}

/// What a reader sees, which is never less than what it saw before.
fn look(signal: &AdmissionMeter, before: Counts) -> Counts {
    let counts = signal.gauge().snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
    assert!(counts.received >= before.received && counts.delivered >= before.delivered, "{before:?}, then {counts:?}");
    assert!(counts.rejected >= before.rejected && counts.dropped() >= before.dropped(), "{before:?}, then {counts:?}");
    counts
}

#[test]
fn s4_two_never_share_one_slot() {
    model(3, || {
        let signal = Arc::new(AdmissionMeter::new(1, clock));
        let other = Arc::clone(&signal);
        let take = |signal: &AdmissionMeter| {
            signal.try_take().is_some_and(|slots| {
                assert_eq!((slots.in_flight(), signal.slots().in_flight()), (1, 1));
                signal.give_back();
                true
            })
        };
        let thread = thread::spawn(move || take(&other));
        let here = take(&signal);
        let there = thread.join().unwrap();
        assert!(here || there);
        assert_eq!(signal.slots().in_flight(), 0);
        assert_eq!(signal.admitted_so_far(), (u64::from(here) + u64::from(there), 0));
    });
}

#[test]
fn c1_m2_counts_balance_at_every_look_and_do_not_go_back() {
    model(2, || {
        let signal = Arc::new(AdmissionMeter::new(2, clock));
        let other = Arc::clone(&signal);
        let thread = thread::spawn(move || {
            assert!(other.try_take().is_some());
            other.give_back();
            assert!(other.try_take().is_some());
            other.lose(DropReason::Failed);
        });
        let first = look(&signal, Counts::default());
        let second = look(&signal, first);
        thread.join().unwrap();
        let last = look(&signal, second);
        assert_eq!((last.received, last.delivered, last.failed(), last.in_flight), (2, 1, 1, 0));
    });
}

#[test]
fn c1_a_call_that_waits_is_counted_once() {
    model(2, || {
        let signal = Arc::new(AdmissionMeter::new(1, clock));
        let queue = Arc::new(Mutex::new(()));
        let other = (Arc::clone(&signal), Arc::clone(&queue));
        let thread = thread::spawn(move || {
            let (signal, queue) = other;
            let lock = queue.lock().unwrap();
            signal.queued();
            assert!(signal.take_queued((), |_| Ok(())).is_ok());
            drop(lock);
            signal.give_back();
        });
        let first = look(&signal, Counts::default());
        assert!(first.received <= 1 && first.queued + first.in_flight <= 1, "{first:?}");
        thread.join().unwrap();
        let last = look(&signal, first);
        assert_eq!((last.received, last.delivered), (1, 1));
    });
}
