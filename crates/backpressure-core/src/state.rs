//! The five pressure states.

use std::fmt;

/// How close a bounded part is to its bound.
///
/// States are ordered by how little they should admit, so the worst of several is their maximum. The default is
/// [`Normal`](State::Normal).
///
/// ```
/// use backpressure_core::State;
///
/// assert!(State::Critical > State::Elevated);
/// assert_eq!([State::Normal, State::Blocked].into_iter().max(), Some(State::Blocked));
/// assert_eq!(State::Draining.to_string(), "draining");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Below the low watermark: admit freely.
    #[default]
    Normal = 0,
    /// At or above the low watermark: optional work may wait.
    Elevated = 1,
    /// At or above the high watermark: only important work should still enter.
    Critical = 2,
    /// Full, or something waits that does not fit: nothing enters until something leaves.
    Blocked = 3,
    /// Shutdown has begun, whatever the depth: nothing enters any more.
    Draining = 4,
}

impl State {
    /// Every state, from the least pressed to the most.
    pub const ALL: [State; 5] = [State::Normal, State::Elevated, State::Critical, State::Blocked, State::Draining];

    /// The state's name in lower case, as [`Display`](fmt::Display) writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Normal => "normal",
            State::Elevated => "elevated",
            State::Critical => "critical",
            State::Blocked => "blocked",
            State::Draining => "draining",
        }
    }

    /// The state as a number from 0 to 4, for atomics and metrics.
    #[inline]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The state that [`as_u8`](State::as_u8) maps to `value`; `None` above 4.
    #[inline]
    pub const fn from_u8(value: u8) -> Option<State> {
        match value {
            0 => Some(State::Normal),
            1 => Some(State::Elevated),
            2 => Some(State::Critical),
            3 => Some(State::Blocked),
            4 => Some(State::Draining),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_nothing_else_is_a_state() {
        for (number, state) in (0u8..).zip(State::ALL) {
            assert_eq!(state.as_u8(), number);
            assert_eq!(State::from_u8(number), Some(state));
        }
        assert!((5..=u8::MAX).all(|number| State::from_u8(number).is_none()));
    }

    #[test]
    fn states_are_listed_in_rising_order_and_start_at_the_default() {
        assert!(State::ALL.is_sorted_by(|a, b| a < b));
        assert_eq!(State::ALL[0], State::default());
    }

    #[test]
    fn display_is_the_lower_case_name_and_honours_width() {
        for state in State::ALL {
            assert_eq!(state.to_string(), format!("{state:?}").to_lowercase());
        }
        assert_eq!(format!("[{:>9}]", State::Blocked), "[  blocked]");
    }
}
