//! The policy: what a layer does in each state.

use backpressure_core::State;
use backpressure_core::limit::Criticality;

/// What is done with calls while the parts that a layer watches are in a certain state. A slot they need in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Every call may enter.
    Admit,
    /// The least important calls are shed, the more of them the fuller what is watched is: none at 80 %, all but the most
    /// important ones at 100 %. Calls that are all alike are all admitted.
    AdmitByPriority,
    /// Calls of this class and of those more important may enter. It sheds more than it must, and at once.
    AdmitFrom(Criticality),
    /// Two calls of the most important class at a time may enter, and a probe now and then.
    Reserve,
    /// No call may enter but a probe now and then; in [`State::Draining`] not even that.
    Shed,
}

/// A table of what is done in which state.
///
/// | state | by default |
/// |---|---|
/// | `Normal`, `Elevated` | [`Admit`](Action::Admit) |
/// | `Critical` | [`AdmitByPriority`](Action::AdmitByPriority) |
/// | `Blocked` | [`Reserve`](Action::Reserve) |
/// | `Draining` | [`Shed`](Action::Shed) |
///
/// It is about the parts that are watched, and about a state that is forced. The layer's own limit needs no table: it
/// admits for as long as there is room, and looks at priorities as room gets short.
///
/// Overload never sheds everything for ever: whatever the table says, a call passes as a probe every 100 ms or so, one in
/// eight at most, unless the state is `Draining`. Otherwise nobody might ever notice that things are better.
///
/// ```
/// use backpressure_core::{State, limit::Criticality};
/// use backpressure_tower::{Action, Policy};
///
/// // Hard cut-offs: simple, and they shed calls that would have fitted.
/// let policy = Policy::default()
///     .on(State::Elevated, Action::AdmitFrom(Criticality::SheddablePlus))
///     .on(State::Critical, Action::AdmitFrom(Criticality::Critical));
/// assert_eq!(policy.action(State::Blocked), Action::Reserve);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    actions: [Action; State::ALL.len()],
}

impl Policy {
    /// This table with another action in `state`.
    #[must_use]
    pub const fn on(mut self, state: State, action: Action) -> Self {
        self.actions[state as usize] = action;
        self
    }

    /// What is done in `state`.
    pub const fn action(&self, state: State) -> Action {
        self.actions[state as usize]
    }

    /// The table as a number, a byte for each state.
    pub(super) fn to_bits(self) -> u64 {
        self.actions.into_iter().rev().fold(0, |bits, action| bits << 8 | u64::from(action.to_byte()))
    }

    /// What the table with these bits says of `state`.
    #[inline]
    pub(super) const fn action_in(bits: u64, state: State) -> Action {
        Action::from_byte((bits >> (8 * state as u32)) as u8)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { actions: [Action::Admit, Action::Admit, Action::AdmitByPriority, Action::Reserve, Action::Shed] }
    }
}

impl Action {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Admit => 0,
            Self::AdmitByPriority => 1,
            Self::Reserve => 2,
            Self::Shed => 3,
            Self::AdmitFrom(class) => 4 + class as u8,
        }
    }

    #[inline]
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Admit,
            1 => Self::AdmitByPriority,
            2 => Self::Reserve,
            4 => Self::AdmitFrom(Criticality::CriticalPlus),
            5 => Self::AdmitFrom(Criticality::Critical),
            6 => Self::AdmitFrom(Criticality::SheddablePlus),
            7 => Self::AdmitFrom(Criticality::Sheddable),
            _ => Self::Shed,
        }
    }

    /// Whether nearly all calls are shed.
    pub(super) const fn sheds(self) -> bool {
        matches!(self, Self::Reserve | Self::Shed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_as_a_number() {
        let actions = [Action::Admit, Action::AdmitByPriority, Action::Reserve, Action::Shed]
            .into_iter()
            .chain(Criticality::ALL.map(Action::AdmitFrom));
        for (n, action) in actions.enumerate() {
            let state = State::ALL[n % State::ALL.len()];
            let policy = Policy::default().on(state, action);
            for state in State::ALL {
                assert_eq!(Policy::action_in(policy.to_bits(), state), policy.action(state));
            }
        }
    }
}
