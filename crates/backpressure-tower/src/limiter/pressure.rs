//! The pressure state of a limiter, from its calls in flight.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use backpressure_core::{AdmissionMeter, State, StateMachine, Watermarks};
use backpressure_rt::lock;
use backpressure_rt::sync::{AtomicUsize, Mutex, Ordering};

/// Below these utilizations `Elevated`, `Critical` and `Blocked` are left.
const LEAVE_BELOW: (f64, f64, f64) = (0.45, 0.72, 0.95);

/// How long the utilization must have been there.
const DWELL: Duration = Duration::from_millis(100);

/// The mean time from a call to the first poll of its work that counts as full.
const TARGET_DELAY: Duration = Duration::from_millis(10);

/// Watches utilization: the largest of in flight / limit, waiting / room to wait, and delay / 10 ms.
///
/// A rise is seen at once: the call that makes it finds its number of calls in flight at [`rise_at`](Self::rises). A fall
/// is looked for when a call that is timed departs, and when nothing is in flight any more.
#[derive(Debug)]
pub(crate) struct Pressure {
    machine: Mutex<StateMachine>,
    /// The fewest calls in flight that make the state worse than it is.
    rise_at: AtomicUsize,
    /// With fewer calls in flight the state may get better. Any number is fewer while a fall waits out its dwell.
    fall_below: AtomicUsize,
    /// The delay as a share of its target, as the bits of an `f64`.
    delay: AtomicU64,
}

impl Pressure {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            machine: Mutex::new(machine()),
            rise_at: AtomicUsize::new(next_rise(State::Normal, limit)),
            fall_below: AtomicUsize::new(0),
            delay: AtomicU64::new(0),
        }
    }

    /// Whether so many calls in flight make the state worse.
    #[inline]
    pub(crate) fn rises(&self, in_flight: usize) -> bool {
        in_flight >= self.rise_at.load(Ordering::Relaxed)
    }

    /// Whether it is worth a look whether the state gets better.
    pub(crate) fn may_fall(&self, in_flight: usize) -> bool {
        in_flight < self.fall_below.load(Ordering::Relaxed)
    }

    /// The calls of the last window began so late, on average.
    pub(crate) fn delayed(&self, delay: Duration) {
        let share = delay.as_secs_f64() / TARGET_DELAY.as_secs_f64();
        self.delay.store(share.to_bits(), Ordering::Relaxed);
    }

    /// Brings the state up to date. Returns whether it changed; if so, the signal is to be notified.
    pub(crate) fn observe(&self, now: Instant, waiting: f64, signal: &AdmissionMeter) -> bool {
        let mut machine = lock(&self.machine);
        let mut seen = signal.slots();
        loop {
            if seen.is_draining() {
                machine.drain(now);
            } else if seen.in_flight() == 0 && !seen.has_waiters() {
                // Nothing is left that could be under pressure: there is nothing to wait out.
                *machine = self::machine();
                self.delay.store(0, Ordering::Relaxed);
            } else {
                let delay = f64::from_bits(self.delay.load(Ordering::Relaxed));
                let share = seen.in_flight() as f64 / seen.limit() as f64;
                machine.observe(now, share.max(waiting).max(delay));
            }
            self.rise_at.store(next_rise(machine.state(), seen.limit()), Ordering::Relaxed);
            // Whoever changes the word after this sees where the next rise is; who did before is seen here.
            let after = signal.fence();
            let is_settled = after.limit() == seen.limit()
                && !self.rises(after.in_flight())
                && (after.in_flight() > 0 || machine.state() == State::Normal || seen.in_flight() == 0)
                && after.is_draining() == seen.is_draining();
            if is_settled {
                let fall = if machine.poll_timeout().is_some() {
                    usize::MAX
                } else {
                    next_fall(machine.state(), seen.limit())
                };
                self.fall_below.store(fall, Ordering::Relaxed);
                return signal.enter(machine.state());
            }
            seen = after;
        }
    }

    /// When the state may fall even if nothing happens.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        lock(&self.machine).poll_timeout()
    }
}

fn machine() -> StateMachine {
    let plain = StateMachine::new(Watermarks::default()).dwell(DWELL);
    let (elevated, critical, blocked) = LEAVE_BELOW;
    plain.clone().leave_below(elevated, critical, blocked).unwrap_or(plain)
}

/// The fewest calls in flight whose share of `limit` enters a state worse than `state`.
fn next_rise(state: State, limit: usize) -> usize {
    let watermarks = Watermarks::default();
    let share = match state {
        State::Normal => watermarks.low(),
        State::Elevated => watermarks.high(),
        State::Critical => return limit,
        State::Blocked | State::Draining => return usize::MAX,
    };
    let near = (share * limit as f64) as usize;
    if (near as f64) < share * limit as f64 && (near as f64 / limit as f64) < share { near + 1 } else { near.max(1) }
}

/// The calls in flight below which a state may be left, as far as it is they that make it.
fn next_fall(state: State, limit: usize) -> usize {
    let (elevated, critical, blocked) = LEAVE_BELOW;
    let left_below = match state {
        State::Normal | State::Draining => return 0,
        State::Elevated => elevated,
        State::Critical => critical,
        State::Blocked => blocked,
    };
    (left_below * limit as f64).ceil() as usize
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use State::{Blocked, Critical, Elevated, Normal};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_next_rise_is_where_the_watermarks_say() {
        for limit in 1..2000 {
            for state in [Normal, Elevated, Critical] {
                let worse = |n: usize| Watermarks::default().classify(n as f64 / limit as f64) > state;
                let rise = next_rise(state, limit);
                assert!(rise > 0 && worse(rise), "{rise} of {limit} from {state}");
                assert!(!worse(rise - 1), "{} of {limit} from {state}", rise - 1);
            }
        }
    }

    struct Part {
        pressure: Pressure,
        signal: AdmissionMeter,
    }

    impl Part {
        fn new(limit: usize) -> Self {
            Self { pressure: Pressure::new(limit), signal: AdmissionMeter::new(limit, Instant::now) }
        }

        fn take(&self, calls: usize) -> &Self {
            (0..calls).for_each(|_| assert!(self.signal.take((), |_| Ok(())).is_ok()));
            self
        }

        fn give_back(&self, calls: usize) -> &Self {
            for _ in 0..calls {
                self.signal.give_back();
            }
            self
        }

        fn at(&self, now: Instant) -> State {
            let before = self.signal.state();
            let changed = self.pressure.observe(now, 0.0, &self.signal);
            assert_eq!(changed, before != self.signal.state());
            self.signal.state()
        }
    }

    #[test]
    fn h1_each_state_is_left_below_a_threshold_of_its_own() {
        for (entered, state, kept, left, next) in
            [(50, Elevated, 45, 44, Normal), (80, Critical, 72, 71, Elevated), (100, Blocked, 95, 94, Critical)]
        {
            let (part, start) = (Part::new(100), Instant::now());
            assert_eq!(part.take(entered).at(start), state);
            part.give_back(entered - kept);
            assert!(!part.pressure.may_fall(kept));
            assert_eq!([part.at(start), part.at(start + 1000 * MS)], [state; 2], "{kept} is not below the threshold");
            assert!(part.pressure.may_fall(left));
            assert_eq!(part.give_back(kept - left).at(start + 1000 * MS), state);
            assert_eq!(part.at(start + 1099 * MS), state);
            assert_eq!(part.at(start + 1100 * MS), next);
        }
    }

    #[test]
    fn h2_a_rise_is_seen_at_once_and_a_dip_shorter_than_the_dwell_is_not() {
        let (part, start) = (Part::new(100), Instant::now());
        assert_eq!([49, 1, 30, 20].map(|calls| part.take(calls).at(start)), [Normal, Elevated, Critical, Blocked]);
        assert_eq!(part.give_back(50).at(start), Blocked);
        assert_eq!(part.take(45).at(start + 99 * MS), Blocked);
        assert_eq!(part.give_back(10).at(start + 100 * MS), Blocked, "the dwell starts anew");
        assert_eq!(part.give_back(60).at(start + 200 * MS), Critical, "one change for one dwell");
        assert_eq!(part.at(start + 299 * MS), Critical);
        assert_eq!(part.at(start + 300 * MS), Normal);
    }

    #[test]
    fn an_empty_part_is_normal_at_once() {
        let (part, start) = (Part::new(1), Instant::now());
        assert_eq!(part.take(1).at(start), Blocked);
        assert_eq!(part.give_back(1).at(start), Normal);
    }

    #[test]
    fn late_work_is_pressure_until_nothing_is_in_flight() {
        let (part, start) = (Part::new(100), Instant::now());
        part.pressure.delayed(8 * MS);
        assert_eq!(part.take(1).at(start), Critical);
        part.pressure.delayed(Duration::MAX);
        assert_eq!(part.at(start), Blocked);
        assert_eq!(part.give_back(1).at(start), Normal);
        assert_eq!(part.take(1).at(start), Normal);
    }

    #[test]
    fn a_limit_that_shrinks_moves_the_rise() {
        let (part, start) = (Part::new(100), Instant::now());
        assert_eq!(part.take(10).at(start), Normal);
        assert!(!part.pressure.rises(49));
        part.signal.set_limit(20);
        assert_eq!(part.at(start), Elevated);
        assert!(part.pressure.rises(16) && !part.pressure.rises(15));
    }
}
