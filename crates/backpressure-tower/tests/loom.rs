//! The admission word and the queue behind it under every interleaving of two or three threads, through the public API.
#![cfg(backpressure_loom)]

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use backpressure_core::State;
use backpressure_core::limit::{Fixed, Level, Outcome};
use backpressure_tower::{Entry, Limiter, Overloaded, Permit, QueuedCall};
use loom::sync::Notify;
use loom::thread;

/// Every interleaving with at most so many switches that are not forced.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    // A snapshot alone takes hundreds.
    builder.max_branches = 10_000;
    builder.check(run);
}

fn clock() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn limiter(limit: usize) -> Limiter {
    Limiter::builder().limit(Fixed::new(limit).unwrap()).clock(clock).seed(1).build()
}

fn admit(limiter: &Limiter) -> Result<Permit, Overloaded> {
    limiter.try_admit(Level::default())
}

/// A waker for a thread that waits for it.
struct Wakeup(Notify);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits for the waker alone: a lost wake is a deadlock, which loom reports.
fn block_on<T>(mut poll: impl FnMut(&Context<'_>) -> Poll<T>) -> T {
    let wakeup = Arc::new(Wakeup(Notify::new()));
    let waker = Waker::from(Arc::clone(&wakeup));
    loop {
        match poll(&Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => wakeup.0.wait(),
        }
    }
}

fn wait(limiter: &Limiter) -> Result<Permit, Overloaded> {
    match limiter.wait(Level::default())? {
        Entry::Admitted(permit) => Ok(permit),
        Entry::Queued(mut ticket) => block_on(|cx| ticket.poll_admitted(cx)),
    }
}

fn ticket(limiter: &Limiter) -> QueuedCall {
    match limiter.wait(Level::default()) {
        Ok(Entry::Queued(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Nobody is there any more, and the books say so.
fn assert_at_rest(limiter: &Limiter) {
    assert_eq!((limiter.in_flight(), limiter.waiting()), (0, 0));
    let counts = limiter.gauge().snapshot().counts;
    assert!(counts.balances() && counts.in_flight == 0 && counts.queued == 0, "{counts:?}");
    drop(admit(limiter).expect("there is room"));
}

#[test]
fn s4_in_flight_never_exceeds_the_limit_and_the_state_is_right_at_rest() {
    model(3, || {
        let limiter = limiter(1);
        let other = limiter.clone();
        let thread = thread::spawn(move || {
            if let Ok(permit) = admit(&other) {
                assert_eq!(other.in_flight(), 1);
                permit.finish(Outcome::Success);
            }
        });
        if let Ok(permit) = admit(&limiter) {
            assert_eq!(limiter.in_flight(), 1);
            permit.finish(Outcome::Success);
        }
        thread.join().unwrap();
        assert_eq!(limiter.state(), State::Normal);
        assert_at_rest(&limiter);
    });
}

#[test]
fn m1_the_state_of_a_full_limiter_is_blocked_whoever_filled_it() {
    model(3, || {
        let limiter = limiter(2);
        let other = limiter.clone();
        let thread = thread::spawn(move || admit(&other));
        let here = admit(&limiter);
        let there = thread.join().unwrap();
        assert!(here.is_ok() && there.is_ok());
        assert_eq!(limiter.state(), State::Blocked);
        drop((here, there));
        assert_eq!(limiter.state(), State::Normal);
    });
}

#[test]
fn m1_a_rise_that_meets_a_fall_is_not_missed() {
    model(3, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let thread = thread::spawn(move || permit.finish(Outcome::Success));
        let next = admit(&limiter);
        thread.join().unwrap();
        assert_eq!(limiter.state(), if next.is_ok() { State::Blocked } else { State::Normal });
        drop(next);
        assert_eq!(limiter.state(), State::Normal);
    });
}

#[test]
fn w6_a_slot_that_comes_free_while_somebody_joins_the_queue_is_not_missed() {
    model(3, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let other = limiter.clone();
        let thread = thread::spawn(move || {
            let permit = wait(&other).unwrap();
            assert_eq!(other.in_flight(), 1);
            permit.finish(Outcome::Success);
        });
        permit.finish(Outcome::Success);
        thread.join().unwrap();
        assert_at_rest(&limiter);
    });
}

#[test]
fn w2_a_caller_that_leaves_as_it_is_served_hands_on() {
    model(2, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let first = ticket(&limiter);
        let mut second = ticket(&limiter);
        let thread = thread::spawn(move || drop(first));
        permit.finish(Outcome::Success);
        let served = block_on(|cx| second.poll_admitted(cx)).unwrap();
        thread.join().unwrap();
        drop(served);
        assert_at_rest(&limiter);
    });
}

#[test]
fn s4_a_limit_that_grows_while_somebody_joins_lets_it_in() {
    model(2, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let other = limiter.clone();
        let thread = thread::spawn(move || drop(wait(&other).unwrap()));
        limiter.set_limit(Fixed::new(2).unwrap());
        thread.join().unwrap();
        drop(permit);
        assert_at_rest(&limiter);
    });
}

#[test]
fn s4_a_slot_is_passed_on_or_given_back_as_the_limit_shrinks_and_nobody_is_forgotten() {
    model(2, || {
        let limiter = limiter(2);
        let (here, there) = (admit(&limiter).unwrap(), admit(&limiter).unwrap());
        let mut waits = ticket(&limiter);
        let other = limiter.clone();
        let thread = thread::spawn(move || {
            other.set_limit(Fixed::new(1).unwrap());
            there.finish(Outcome::Success);
        });
        here.finish(Outcome::Success);
        let served = block_on(|cx| waits.poll_admitted(cx)).unwrap();
        thread.join().unwrap();
        assert_eq!(limiter.in_flight(), 1);
        drop(served);
        assert_at_rest(&limiter);
    });
}

#[test]
fn c2_whoever_takes_the_seat_of_one_that_was_served_gets_a_verdict_of_its_own() {
    model(3, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let mut first = ticket(&limiter);
        permit.finish(Outcome::Success);
        let thread = thread::spawn(move || drop(block_on(|cx| first.poll_admitted(cx)).unwrap()));
        let permit = wait(&limiter).unwrap();
        assert_eq!(limiter.in_flight(), 1);
        thread.join().unwrap();
        permit.finish(Outcome::Success);
        assert_at_rest(&limiter);
    });
}

#[test]
fn c1_books_balance_while_slots_are_passed_on() {
    model(2, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let waits = ticket(&limiter);
        let thread = thread::spawn(move || permit.finish(Outcome::Success));
        let counts = limiter.gauge().snapshot().counts;
        assert!(counts.balances() && counts.received == 2, "{counts:?}");
        thread.join().unwrap();
        drop(waits);
        assert_at_rest(&limiter);
    });
}

#[test]
fn t4_a_drain_refuses_whoever_waits_or_is_about_to() {
    model(2, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let other = limiter.clone();
        let thread = thread::spawn(move || wait(&other).err());
        limiter.drain();
        let refused = thread.join().unwrap().expect("refused");
        assert!(refused.is_draining());
        drop(permit);
        assert_eq!((limiter.in_flight(), limiter.waiting(), limiter.state()), (0, 0, State::Draining));
    });
}

#[test]
fn t7_whoever_waits_for_the_last_call_to_end_is_woken() {
    model(3, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        limiter.drain();
        let thread = thread::spawn(move || drop(permit));
        block_on(|cx| limiter.poll_idle(cx));
        assert_eq!(limiter.in_flight(), 0);
        thread.join().unwrap();
    });
}

#[test]
fn t7_whoever_waits_for_the_last_stream_to_end_is_woken() {
    model(3, || {
        let limiter = limiter(1);
        let permit = admit(&limiter).unwrap();
        let thread = thread::spawn(move || drop(permit.into_stream()));
        limiter.drain();
        block_on(|cx| limiter.poll_idle(cx));
        assert_eq!((limiter.in_flight(), limiter.streams()), (0, 0));
        thread.join().unwrap();
    });
}
