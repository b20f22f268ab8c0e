//! Parts that bound calls in flight rather than items in a buffer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use backpressure_core::{AdmissionMeter, Counts, DropReason, State};

fn take(signal: &AdmissionMeter) {
    assert!(signal.take((), |_| Ok(())).is_ok());
}

#[test]
fn c1_every_call_has_one_fate() {
    let signal = AdmissionMeter::new(4, Instant::now);
    let counts = || {
        let counts = signal.gauge().snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        counts
    };
    (0..3).for_each(|_| take(&signal));
    (0..4).for_each(|_| signal.queued());
    assert_eq!((signal.rejected(), signal.rejected()), (0, 1));
    assert_eq!((counts().received, counts().in_flight, counts().queued), (9, 3, 4));
    assert!(signal.take_queued((), |_| Ok(())).is_ok());
    assert!(signal.take_queued((), |_| Err(())).is_err());
    signal.returned();
    signal.discarded(DropReason::Closed);
    signal.give_back();
    signal.lose(DropReason::Failed);
    let after = counts();
    assert_eq!((after.in_flight, after.queued, after.rejected, after.delivered), (2, 1, 3, 1));
    assert_eq!((after.failed(), after.dropped()), (1, 1));
    assert_eq!((signal.decided_so_far(), signal.admitted_so_far()), (7, (4, 2)));
}

#[test]
fn c1_a_call_that_is_refused_after_it_had_a_slot_is_rejected_and_not_delivered() {
    let signal = AdmissionMeter::new(4, Instant::now);
    (0..3).for_each(|_| take(&signal));
    signal.refused();
    signal.give_back();
    signal.give_back();
    let counts = signal.gauge().snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.received, counts.in_flight, counts.rejected, counts.delivered), (3, 1, 1, 1));
}

#[test]
fn d3_streams_are_counted_beside_the_slots_and_never_exceed_their_bound() {
    let signal = AdmissionMeter::new(1, Instant::now);
    assert!(signal.open_stream(2) && signal.open_stream(2) && !signal.open_stream(2) && !signal.open_stream(0));
    let snapshot = signal.gauge().snapshot();
    assert_eq!((signal.streams(), snapshot.streams, snapshot.utilization), (2, 2, 0.0));
    let open = snapshot.metrics().find(|metric| metric.family.name == "backpressure.stream.open").unwrap();
    assert_eq!(open.as_f64(), 2.0);
    assert_eq!((signal.close_stream(), signal.close_stream(), signal.streams()), (1, 0, 0));
    assert!(signal.open_stream(usize::MAX), "d6");
}

#[test]
fn the_utilization_follows_a_limit_that_moves() {
    let signal = AdmissionMeter::new(8, Instant::now);
    let gauge = signal.gauge();
    assert_eq!(gauge.utilization(), 0.0);
    (0..4).for_each(|_| take(&signal));
    assert_eq!((gauge.utilization(), gauge.snapshot().utilization, gauge.snapshot().capacity), (0.5, 0.5, 8));
    signal.set_limit(4);
    assert_eq!((gauge.utilization(), gauge.snapshot().capacity), (1.0, 4));
}

#[test]
fn t5_draining_stays_and_a_part_that_is_gone_drains() {
    let signal = AdmissionMeter::new(1, Instant::now);
    let gauge = signal.gauge();
    assert!(signal.enter(State::Blocked));
    assert!(!signal.enter(State::Blocked), "no news");
    assert_eq!((gauge.state(), gauge.snapshot().transitions), (State::Blocked, 1));
    drop(signal);
    assert_eq!(gauge.state(), State::Draining);

    let signal = AdmissionMeter::new(1, Instant::now);
    assert!(signal.enter(State::Draining));
    assert!(!signal.enter(State::Normal));
    assert_eq!(signal.state(), State::Draining);
}

#[test]
fn m2_counts_balance_and_never_shrink_while_others_write() {
    let signal = AdmissionMeter::new(100, Instant::now);
    let queue = Mutex::new(());
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        take(&signal);
                        signal.give_back();
                        {
                            let _queue = queue.lock().unwrap();
                            signal.queued();
                            assert!(signal.take_queued((), |_| Ok(())).is_ok());
                        }
                        signal.lose(DropReason::Closed);
                        signal.rejected();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut last = Counts::default();
            while !is_done.load(Ordering::Relaxed) {
                let counts = signal.gauge().snapshot().counts;
                assert!(counts.balances(), "{counts:?}");
                assert!(counts.received >= last.received && counts.delivered >= last.delivered);
                assert!(counts.in_flight <= 2 && counts.queued <= 1, "{counts:?}");
                last = counts;
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
    });
    let counts = signal.gauge().snapshot().counts;
    assert_eq!((counts.received, counts.delivered, counts.in_flight, counts.queued), (120_000, 40_000, 0, 0));
}
