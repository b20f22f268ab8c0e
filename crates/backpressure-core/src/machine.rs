//! The state machine of pressure: the state, and when it changed.

use std::time::{Duration, Instant};

use crate::thresholds::{Band, Thresholds};
use crate::{ConfigError, State, Watermarks};

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state from now on.
    pub to: State,
    /// When the change was observed.
    pub at: Instant,
    /// The utilization last observed, which need not be a number.
    pub utilization: f64,
}

/// Turns a utilization that moves into states that do not flap.
///
/// Without options the state is a function of the last utilization alone, namely [`Watermarks::classify`]. Two options
/// slow its fall; a rise is never slowed.
///
/// ```text
///     high ──────╭──╮──╭╮────────────────   Critical from here on, at once
///                │  ╰──╯╰─╮
/// high − δ ──────│────────╰╮─────────────   no longer below this, …
///               ╭╯         ╰─────────────
///    state   E   C             E            … once that has lasted for the dwell
/// ```
///
/// With a dwell, the state falls to the worst that was observed while it was waiting to fall, and a further fall waits
/// for a dwell of its own. A single drop in utilization therefore never makes two changes within one dwell.
///
/// Time is whatever the caller says it is. A `now` that repeats or goes backwards only delays a fall.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::{State, StateMachine, Watermarks};
///
/// let dwell = Duration::from_millis(100);
/// let mut machine = StateMachine::new(Watermarks::default()).hysteresis(0.1)?.dwell(dwell);
///
/// let start = Instant::now();
/// assert_eq!(machine.observe(start, 0.8).map(|t| t.to), Some(State::Critical));
/// assert_eq!(machine.observe(start, 0.6), None);
/// assert_eq!(machine.poll_timeout(), Some(start + dwell));
/// assert_eq!(machine.observe(start + dwell, 0.6).map(|t| t.to), Some(State::Elevated));
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct StateMachine {
    watermarks: Watermarks,
    band: Band<f64>,
    dwell: Duration,
    state: State,
    utilization: f64,
    fall: Option<Fall>,
}

/// A fall that has not lasted long enough yet.
#[derive(Debug, Clone, Copy)]
struct Fall {
    to: State,
    /// `None` when the dwell ends beyond the end of time.
    due: Option<Instant>,
}

impl StateMachine {
    /// A machine that is [`Normal`](State::Normal) and has neither hysteresis nor dwell.
    pub fn new(watermarks: Watermarks) -> Self {
        Self {
            watermarks,
            band: watermarks.band(0.0),
            dwell: Duration::ZERO,
            state: State::Normal,
            utilization: 0.0,
            fall: None,
        }
    }

    /// How far below the threshold that entered a state the utilization must be to leave it. Default 0.
    ///
    /// More of it means fewer changes around a threshold, and a state that stays worse than the depth deserves.
    ///
    /// # Errors
    ///
    /// Refuses NaN, a negative `delta`, and one that is not below the low watermark: a part that is empty must be able
    /// to become [`Normal`](State::Normal).
    pub fn hysteresis(mut self, delta: f64) -> Result<Self, ConfigError> {
        self.watermarks.check_hysteresis(delta)?;
        self.band = self.watermarks.band(delta);
        Ok(self)
    }

    /// The utilizations below which [`Elevated`](State::Elevated), [`Critical`](State::Critical) and
    /// [`Blocked`](State::Blocked) are left, each for itself. Default: those at which they are entered. It takes the place
    /// of a [`hysteresis`](Self::hysteresis), and the other way round.
    ///
    /// # Errors
    ///
    /// Refuses, under the name `leave_below`, NaN, what is not above 0, what is above the threshold that enters the state,
    /// and thresholds that do not rise from state to state.
    pub fn leave_below(mut self, elevated: f64, critical: f64, blocked: f64) -> Result<Self, ConfigError> {
        let falling = Thresholds { low: elevated, high: critical, full: blocked };
        self.watermarks.check_falling(&falling)?;
        self.band.falling = falling;
        Ok(self)
    }

    /// How long the utilization must have been low enough before the state falls. Default zero: it falls at once.
    ///
    /// [`Duration::MAX`] means that it never falls.
    #[must_use]
    pub const fn dwell(mut self, dwell: Duration) -> Self {
        self.dwell = dwell;
        self
    }

    /// The state as of the last observation.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Takes note of the `utilization` at `now`, and answers the change of state that it makes, if any.
    ///
    /// NaN counts as full.
    pub fn observe(&mut self, now: Instant, utilization: f64) -> Option<Transition> {
        self.utilization = utilization;
        let next = self.band.next(self.state, utilization);
        if next >= self.state {
            self.fall = None;
            return self.change(now, next);
        }
        let fresh = Fall { to: next, due: now.checked_add(self.dwell) };
        let fall = self.fall.get_or_insert(fresh);
        fall.to = fall.to.max(next);
        if fall.due.is_none_or(|due| now < due) {
            return None;
        }
        let to = fall.to;
        self.fall = (next < to).then_some(fresh);
        self.change(now, to)
    }

    /// Latches [`Draining`](State::Draining), which no observation ends. Answers `None` when it is latched already.
    pub fn drain(&mut self, now: Instant) -> Option<Transition> {
        self.fall = None;
        self.change(now, State::Draining)
    }

    /// When to [`observe`](StateMachine::observe) next even if nothing happens: the end of a pending fall's dwell.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.fall?.due
    }

    fn change(&mut self, at: Instant, to: State) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
        (from != to).then_some(Transition { from, to, at, utilization: self.utilization })
    }
}

#[cfg(test)]
mod tests {
    use State::{Blocked as B, Critical as C, Draining as D, Elevated as E, Normal as N};
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The thresholds 0.5, 0.75 and 1, those 0.125 below them, something just below each, and the extremes.
    const UTILIZATIONS: [f64; 12] = [0.0, 0.374, 0.375, 0.5, 0.624, 0.625, 0.75, 0.874, 0.875, 1.0, 2.0, f64::NAN];

    fn watermarks() -> Watermarks {
        Watermarks::new(0.5, 0.75).unwrap()
    }

    /// A machine without dwell that has been brought into `state`.
    fn machine_in(state: State, hysteresis: f64, at: Instant) -> StateMachine {
        let mut machine = StateMachine::new(watermarks()).hysteresis(hysteresis).unwrap();
        match state {
            N => None,
            E => machine.observe(at, 0.5),
            C => machine.observe(at, 0.75),
            B => machine.observe(at, 1.0),
            D => machine.drain(at),
        };
        assert_eq!(machine.state(), state);
        machine
    }

    /// Checks the whole table state × utilization × draining: a row per state, a column per utilization.
    fn check_table(hysteresis: f64, table: [(State, [State; 12]); 5]) {
        let now = Instant::now();
        for (from, row) in table {
            for (utilization, expected) in UTILIZATIONS.into_iter().zip(row) {
                for draining in [false, true] {
                    let mut machine = machine_in(from, hysteresis, now);
                    let latched = draining.then(|| machine.drain(now)).flatten();
                    assert_eq!(latched.map(|t| (t.from, t.to)), (draining && from != D).then_some((from, D)));

                    let (before, after) = if draining { (D, D) } else { (from, expected) };
                    let transition = machine.observe(now, utilization);
                    let at = format!("{before} at {utilization}, draining {draining}");
                    assert_eq!(machine.state(), after, "{at}");
                    assert_eq!(
                        transition.map(|t| (t.from, t.to)),
                        (before != after).then_some((before, after)),
                        "{at}"
                    );
                    assert_eq!(machine.poll_timeout(), None, "{at}");
                }
            }
        }
    }

    #[test]
    fn the_table_without_options_is_a_function_of_utilization() {
        let row = [N, N, N, E, E, E, C, C, C, B, B, B];
        check_table(0.0, [(N, row), (E, row), (C, row), (B, row), (D, [D; 12])]);
        for (utilization, state) in UTILIZATIONS.into_iter().zip(row) {
            assert_eq!(watermarks().classify(utilization), state);
        }
    }

    #[test]
    fn h1_the_table_with_hysteresis_keeps_the_state_between_the_thresholds() {
        check_table(
            0.125,
            [
                (N, [N, N, N, E, E, E, C, C, C, B, B, B]),
                (E, [N, N, E, E, E, E, C, C, C, B, B, B]),
                (C, [N, N, E, E, E, C, C, C, C, B, B, B]),
                (B, [N, N, E, E, E, C, C, C, B, B, B, B]),
                (D, [D; 12]),
            ],
        );
    }

    #[test]
    fn a_transition_tells_what_was_seen_and_when() {
        let start = Instant::now();
        let mut machine = StateMachine::new(Watermarks::default());
        let rise = Transition { from: N, to: C, at: start + MS, utilization: 0.9 };
        assert_eq!(machine.observe(start + MS, 0.9), Some(rise));
        let drain = Transition { from: C, to: D, at: start + 2 * MS, utilization: 0.9 };
        assert_eq!(machine.drain(start + 2 * MS), Some(drain));
        assert_eq!(machine.drain(start + 3 * MS), None);
    }

    #[test]
    fn a_hysteresis_that_would_trap_the_state_is_refused() {
        let refusal = |delta| StateMachine::new(Watermarks::default()).hysteresis(delta).unwrap_err().to_string();
        assert_eq!(refusal(0.5), "hysteresis is 0.5, but must be at least 0 and below low_watermark (0.5)");
        assert_eq!(refusal(-0.1), "hysteresis is -0.1, but must be at least 0 and below low_watermark (0.5)");
        assert_eq!(refusal(f64::NAN), "hysteresis is NaN, but must be at least 0 and below low_watermark (0.5)");

        let mut machine = StateMachine::new(Watermarks::default()).hysteresis(0.5_f64.next_down()).unwrap();
        machine.observe(Instant::now(), 1.0);
        machine.observe(Instant::now(), 0.0);
        assert_eq!(machine.state(), N);
    }

    #[test]
    fn h1_each_state_may_be_left_at_a_threshold_of_its_own() {
        let now = Instant::now();
        let machine = StateMachine::new(Watermarks::default()).leave_below(0.45, 0.72, 0.95).unwrap();
        for (entered, at_edge, state, below) in [(0.5, 0.45, E, N), (0.8, 0.72, C, E), (1.0, 0.95, B, C)] {
            let mut machine = machine.clone();
            machine.observe(now, entered);
            assert_eq!(machine.observe(now, at_edge), None);
            assert_eq!(machine.state(), state);
            machine.observe(now, at_edge.next_down());
            assert_eq!(machine.state(), below);
        }
    }

    #[test]
    fn thresholds_for_leaving_that_would_trap_or_skip_a_state_are_refused() {
        let refusal = |low, high, full| {
            let refused = StateMachine::new(Watermarks::default()).leave_below(low, high, full);
            refused.err().map(|error| error.to_string())
        };
        assert_eq!(refusal(0.5, 0.8, 1.0), None);
        let bound = "above 0, rising, and at most 0.5, 0.8 and 1";
        for (low, high, full) in
            [(0.0, 0.7, 0.9), (0.51, 0.7, 0.9), (0.4, 0.81, 0.9), (0.4, 0.7, 1.1), (0.4, 0.3, 0.9), (0.4, 0.7, 0.6)]
        {
            assert_eq!(
                refusal(low, high, full),
                Some(format!("leave_below is {low}, {high}, {full}, but must be {bound}"))
            );
        }
        assert!(refusal(f64::NAN, 0.7, 0.9).is_some() && refusal(0.4, f64::NAN, 0.9).is_some());
    }

    #[test]
    fn h2_a_dip_shorter_than_the_dwell_changes_nothing() {
        let start = Instant::now();
        let mut machine = StateMachine::new(Watermarks::default()).dwell(100 * MS);
        machine.observe(start, 0.9);
        assert_eq!(machine.observe(start, 0.1), None);
        assert_eq!(machine.observe(start + 99 * MS, 0.8), None, "back up in time");
        assert_eq!(machine.poll_timeout(), None);
        assert_eq!(machine.observe(start + 100 * MS, 0.1), None, "the dwell starts anew");
        assert_eq!(machine.poll_timeout(), Some(start + 200 * MS));
    }

    #[test]
    fn h2_a_fall_in_two_steps_takes_a_dwell_each() {
        let start = Instant::now();
        let mut machine = StateMachine::new(Watermarks::default()).dwell(100 * MS);
        machine.observe(start, 0.9);
        machine.observe(start, 0.6);
        assert_eq!(machine.observe(start + 10 * MS, 0.1), None);
        let falls = [start + 100 * MS, start + 200 * MS].map(|due| {
            assert_eq!(machine.poll_timeout(), Some(due));
            machine.observe(due, 0.1).map(|t| (t.from, t.to))
        });
        assert_eq!(falls, [Some((C, E)), Some((E, N))]);
        assert_eq!(machine.poll_timeout(), None, "at rest there is nothing to wait for");
    }

    #[test]
    fn draining_forgets_a_pending_fall() {
        let start = Instant::now();
        let mut machine = StateMachine::new(Watermarks::default()).dwell(MS);
        machine.observe(start, 0.9);
        machine.observe(start, 0.1);
        machine.drain(start);
        assert_eq!(machine.poll_timeout(), None);
        assert_eq!(machine.observe(start + MS, 0.1), None);
    }

    #[test]
    fn d6_an_endless_dwell_never_falls_and_asks_for_no_timer() {
        let start = Instant::now();
        let mut machine = StateMachine::new(Watermarks::default()).dwell(Duration::MAX);
        machine.observe(start, 1.0);
        assert_eq!(machine.observe(start + MS, 0.0), None);
        assert_eq!(machine.poll_timeout(), None);
        assert_eq!(machine.state(), B);
    }

    #[test]
    fn k1_a_clock_that_goes_back_only_delays_a_fall() {
        let start = Instant::now();
        let later = start + Duration::from_secs(60);
        let mut machine = StateMachine::new(Watermarks::default()).dwell(MS);
        machine.observe(later, 0.9);
        machine.observe(later, 0.1);
        assert_eq!(machine.observe(start, 0.1), None);
        assert_eq!(machine.observe(later + MS, 0.1).map(|t| t.to), Some(N));
    }

    proptest! {
        /// Against a model that keeps the whole history and looks back over it.
        #[test]
        fn h2_every_change_is_the_one_that_the_history_allows(
            hysteresis in 0.0..0.49,
            dwell in 0u32..50,
            steps in prop::collection::vec((0u32..30, 0.0..1.2), 1..60),
        ) {
            let dwell = dwell * MS;
            let band = Watermarks::default().band(hysteresis);
            let mut machine = StateMachine::new(Watermarks::default()).hysteresis(hysteresis).unwrap().dwell(dwell);
            let mut now = Instant::now();
            let mut state = N;
            let mut since_change: Vec<(Instant, f64)> = Vec::new();
            let mut last_fall: Option<Instant> = None;
            for (step, utilization) in steps {
                now += step * MS;
                since_change.push((now, utilization));
                let below = |&&(_, u): &&(Instant, f64)| band.falling.classify(u) < state;
                let waiting: Vec<_> = since_change.iter().rev().take_while(below).collect();
                let expected = match waiting.last() {
                    None => state.max(band.rising.classify(utilization)),
                    Some((start, _)) if now - *start < dwell => state,
                    Some(_) => waiting.iter().map(|(_, u)| band.next(state, *u)).max().unwrap(),
                };
                let transition = machine.observe(now, utilization);
                prop_assert_eq!(machine.state(), expected);
                prop_assert_eq!(transition.map(|t| (t.from, t.to)), (state != expected).then_some((state, expected)));
                if expected < state {
                    prop_assert!(last_fall.is_none_or(|last| now - last >= dwell), "two falls in one dwell");
                    last_fall = Some(now);
                }
                if expected != state {
                    since_change = vec![(now, utilization)];
                }
                state = expected;
            }
        }
    }
}
