//! Random histories of a limiter beside a model of it, under a clock that jumps.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backpressure_core::State;
use backpressure_core::limit::{CoDel, Fast, Fixed, Level, Outcome};
use backpressure_tower::{Entry, Limiter, Permit, QueuedCall, ShedReason};
use proptest::prelude::*;

thread_local! {
    static OFFSET: Cell<i64> = const { Cell::new(0) };
}

/// Far enough from the beginning of time to go back by days.
fn clock() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000));
    let offset = OFFSET.get();
    let distance = Duration::from_micros(offset.unsigned_abs());
    if offset < 0 { start - distance } else { start + distance }
}

#[derive(Debug, Clone)]
enum Step {
    Admit,
    Wait,
    Finish(usize, u8),
    Answer(usize),
    Abandon(usize),
    Leave(usize),
    Poll,
    Limit(usize),
    Advance(i64),
    Tick,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Admit),
        6 => Just(Step::Wait),
        8 => (any::<usize>(), 0u8..3).prop_map(|(n, outcome)| Step::Finish(n, outcome)),
        3 => any::<usize>().prop_map(Step::Answer),
        3 => any::<usize>().prop_map(Step::Abandon),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => Just(Step::Poll),
        2 => prop_oneof![1usize..6, Just(usize::MAX)].prop_map(Step::Limit),
        4 => prop_oneof![0i64..200_000, -50_000i64..0, Just(-86_400_000_000i64), Just(3_600_000_000i64)]
            .prop_map(Step::Advance),
        1 => Just(Step::Tick),
        1 => Just(Step::Drain),
    ]
}

/// A limiter and what should be true of it.
struct World {
    limiter: Limiter,
    flying: Vec<Permit>,
    waiting: VecDeque<QueuedCall>,
    limit: usize,
    draining: bool,
    received: u64,
    rejected: u64,
    finished: u64,
    lost: u64,
}

impl World {
    fn new(limit: usize) -> Self {
        let limiter = Limiter::builder().limit(Fixed::new(limit).unwrap()).clock(clock).seed(1).build();
        Self {
            limiter,
            flying: Vec::new(),
            waiting: VecDeque::new(),
            limit,
            draining: false,
            received: 0,
            rejected: 0,
            finished: 0,
            lost: 0,
        }
    }

    /// Whether a call that comes now finds a slot.
    fn has_room(&self) -> bool {
        !self.draining && self.waiting.is_empty() && self.flying.len() < self.limit
    }

    /// A slot came free, or the limit is another: those that wait are served in order.
    fn serve(&mut self) {
        while self.draining || self.flying.len() < self.limit {
            let Some(mut ticket) = self.waiting.pop_front() else { return };
            match ticket.poll_admitted(&Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(permit)) if !self.draining => self.flying.push(permit),
                Poll::Ready(Err(overloaded)) if self.draining => {
                    assert_eq!(overloaded.reason(), ShedReason::Draining);
                    self.rejected += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Admit => {
                let (room, draining) = (self.has_room(), self.draining);
                self.received += 1;
                match self.limiter.try_admit(Level::default()) {
                    Ok(permit) if room => self.flying.push(permit),
                    Err(overloaded) if !room => {
                        assert_eq!(overloaded.is_draining(), draining);
                        self.rejected += 1;
                    }
                    other => panic!("room: {room}, but {other:?}"),
                }
            }
            Step::Wait => {
                let room = self.has_room();
                self.received += 1;
                match self.limiter.wait(Level::default()) {
                    Ok(Entry::Admitted(permit)) if room => self.flying.push(permit),
                    Ok(Entry::Queued(ticket)) if !room => self.waiting.push_back(ticket),
                    Err(_) if self.draining => self.rejected += 1,
                    other => panic!("room: {room}, but {other:?}"),
                }
            }
            Step::Finish(n, outcome) => {
                if let Some(permit) = pick(&mut self.flying, n) {
                    let outcome = [Outcome::Success, Outcome::Overload, Outcome::Ignored][usize::from(outcome)];
                    permit.finish(outcome);
                    if outcome == Outcome::Overload {
                        self.lost += 1
                    } else {
                        self.finished += 1
                    }
                    self.serve();
                }
            }
            Step::Answer(n) => {
                if let Some(mut permit) = pick(&mut self.flying, n) {
                    permit.began();
                    permit.answered(Outcome::Success);
                    permit.answered(Outcome::Overload);
                    assert_eq!(self.limiter.in_flight(), self.flying.len() + 1, "it is still there");
                    drop(permit);
                    self.finished += 1;
                    self.serve();
                }
            }
            Step::Abandon(n) => {
                if pick(&mut self.flying, n).is_some() {
                    self.lost += 1;
                    self.serve();
                }
            }
            Step::Leave(n) => {
                if !self.waiting.is_empty() {
                    drop(self.waiting.remove(n % self.waiting.len()));
                    self.lost += 1;
                }
            }
            Step::Poll => {
                for ticket in &mut self.waiting {
                    assert!(ticket.poll_admitted(&Context::from_waker(Waker::noop())).is_pending());
                }
            }
            Step::Limit(limit) => {
                self.limiter.set_limit(Fixed::new(limit).unwrap());
                self.limit = limit;
                self.serve();
            }
            Step::Advance(micros) => OFFSET.set(OFFSET.get() / 2 + micros),
            Step::Tick => self.limiter.tick(),
            Step::Drain => {
                self.limiter.drain();
                self.draining = true;
                self.serve();
            }
        }
    }

    fn check(&self) {
        let counts = self.limiter.gauge().snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!(counts.received, self.received);
        assert_eq!((counts.delivered, counts.rejected), (self.finished, self.rejected));
        assert_eq!(counts.failed() + counts.dropped(), self.lost);
        assert_eq!((counts.in_flight, counts.queued), (self.flying.len() as u64, self.waiting.len() as u64));
        assert_eq!((self.limiter.in_flight(), self.limiter.waiting()), (self.flying.len(), self.waiting.len()));
        let state = self.limiter.state();
        if self.draining {
            assert_eq!(state, State::Draining);
        } else if self.flying.is_empty() {
            assert_eq!(state, State::Normal);
        } else if self.flying.len() >= self.limit {
            assert_eq!(state, State::Blocked);
        }
    }
}

fn pick(permits: &mut Vec<Permit>, n: usize) -> Option<Permit> {
    (!permits.is_empty()).then(|| permits.swap_remove(n % permits.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn c1_s4_k1_a_limiter_does_what_the_model_does(
        limit in 1usize..5,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        OFFSET.set(0);
        let mut world = World::new(limit);
        for step in &steps {
            world.step(step);
            world.check();
        }
        let limiter = world.limiter.clone();
        drop(world);
        let counts = limiter.gauge().snapshot().counts;
        prop_assert!(counts.balances() && counts.in_flight == 0 && counts.queued == 0, "{counts:?}");
        prop_assert_eq!((limiter.in_flight(), limiter.waiting()), (0, 0));
    }

    #[test]
    fn d6_k1_an_adaptive_limiter_with_a_queue_survives_any_clock(
        steps in prop::collection::vec((step(), any::<i32>(), 0u16..512), 1..200),
    ) {
        OFFSET.set(0);
        let limiter = Limiter::builder().limit(Fast::default()).queue(CoDel::new()).clock(clock).seed(1).build();
        let (mut flying, mut waiting) = (Vec::new(), Vec::new());
        for (step, jump, level) in steps {
            OFFSET.set(i64::from(jump) * 16);
            let level = Level::from_u16(level).unwrap();
            match step {
                Step::Admit => flying.extend(limiter.try_admit(level)),
                Step::Wait => match limiter.acquire(level, (jump % 3 == 0).then_some(Duration::from_millis(20))) {
                    Ok(Entry::Admitted(permit)) => flying.push(permit),
                    Ok(Entry::Queued(ticket)) => waiting.push(ticket),
                    Err(_) => {}
                },
                Step::Finish(n, outcome) => {
                    let outcome = if outcome == 0 { Outcome::Overload } else { Outcome::Success };
                    pick(&mut flying, n).into_iter().for_each(|permit| permit.finish(outcome));
                }
                Step::Abandon(n) => drop(pick(&mut flying, n)),
                _ => {
                    limiter.tick();
                    waiting.retain_mut(|ticket: &mut QueuedCall| {
                        match ticket.poll_admitted(&Context::from_waker(Waker::noop())) {
                            Poll::Ready(admitted) => {
                                flying.extend(admitted);
                                false
                            }
                            Poll::Pending => true,
                        }
                    });
                }
            }
            let limit = limiter.limit();
            prop_assert!((2..=1000).contains(&limit));
            prop_assert!(limiter.gauge().snapshot().counts.balances());
        }
        drop((flying, waiting));
        prop_assert_eq!((limiter.in_flight(), limiter.waiting(), limiter.state()), (0, 0, State::Normal));
    }
}
