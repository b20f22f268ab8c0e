//! Readers and writers on threads of their own.

use std::sync::{Arc, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;

use backpressure_core::{BackpressureConfig, DropReason, Gauge, Moved, Offer, State, Strategy, Tag};

use crate::counts::assert_grown;
use crate::part::{Part, poll};

const ITEMS: u32 = 20_000;

#[test]
fn c1_m1_m2_snapshots_balance_while_others_write() {
    let mut part = Part::new(BackpressureConfig::builder().capacity(8).strategy(Strategy::DropOldest), true);
    let (gauge, reporter) = (part.gauge.clone(), part.reporter.clone());
    let (flights, taken) = mpsc::channel();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for item in 0..ITEMS {
                match part.buffer.offer(item, Tag::default()) {
                    Offer::AcceptedEvicting(evicted) => {
                        part.publish(Moved::discarded(DropReason::Evicted, evicted.count()));
                    }
                    _ => part.publish(Moved::NOTHING),
                }
                if item % 3 == 0 {
                    part.buffer.pop();
                    part.publish(Moved::taken(1));
                    flights.send(item).unwrap();
                }
                if item % 7 == 0 {
                    part.reporter.refused(DropReason::Sampled);
                }
            }
        });
        scope.spawn(move || {
            for item in taken {
                if item % 2 == 0 { reporter.delivered(1) } else { reporter.lost(DropReason::Failed, 1) }
            }
        });
        let mut last = gauge.snapshot().counts;
        while !writer.is_finished() {
            let counts = gauge.snapshot().counts;
            assert!(counts.balances(), "{counts:?}");
            assert!(counts.queued <= 8 && counts.in_flight <= ITEMS.into(), "{counts:?}");
            assert_grown(&last, &counts);
            last = counts;
        }
    });
    let counts = gauge.snapshot().counts;
    assert_eq!((counts.in_flight, counts.received), (0, u64::from(ITEMS + ITEMS.div_ceil(7))));
}

#[test]
fn w4_a_watcher_on_another_thread_sees_the_end() {
    let mut part = Part::of(4);
    let gauge = part.gauge.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            for items in (0..=4).chain((0..4).rev()).cycle().take(2_000) {
                part.hold(items);
            }
            part.drain();
        });
        let mut state = State::Normal;
        while state != State::Draining {
            let next = block_on_change(&gauge, state);
            assert_ne!(next, state, "a change to what it was");
            state = next;
        }
    });
}

/// Parks this thread until the state is another.
fn block_on_change(gauge: &Gauge, from: State) -> State {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut changed = gauge.changed_from(from);
    loop {
        match poll(&mut changed, &waker) {
            Poll::Ready(state) => return state,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
