//! The answer to a call that was shed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use backpressure_core::State;

/// A call was refused before anything was done for it. It may be made again, here after
/// [`retry_after`](Self::retry_after), or somewhere else at once. (If it is refused as one [stream](ShedReason::Streams) too
/// many, its handler has run.)
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::State;
/// use backpressure_tower::{Overloaded, ShedReason};
///
/// let overloaded = Overloaded::new(State::Blocked, ShedReason::Limit, Duration::from_millis(250));
/// assert_eq!(overloaded.to_string(), "overloaded: as many calls are in flight as may be (blocked)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overloaded {
    state: State,
    reason: ShedReason,
    retry_after: Duration,
}

impl Overloaded {
    /// The answer of a part in this `state` that refuses for this `reason`.
    pub const fn new(state: State, reason: ShedReason, retry_after: Duration) -> Self {
        Self { state, reason, retry_after }
    }

    /// The state that the call met.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why this call was refused.
    pub const fn reason(&self) -> ShedReason {
        self.reason
    }

    /// When it is worth coming back: the time until what is in flight will have drained, spread by ± 50 % so that those
    /// refused together do not return together. It may be shorter than a protocol can say.
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// Whether the part is shutting down, so that coming back to it is no use.
    pub const fn is_draining(&self) -> bool {
        matches!(self.reason, ShedReason::Draining)
    }
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "overloaded: {} ({})", self.reason.sentence(), self.state)
    }
}

impl Error for Overloaded {}

/// Why a call was shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum ShedReason {
    /// As many calls are in flight as the limit allows to calls of its class.
    Limit = 0,
    /// More is offered than fits, and more important calls go first.
    Priority = 1,
    /// The short queue is full.
    QueueFull = 2,
    /// It waited in the short queue, and no slot came free in time.
    QueueTimeout = 3,
    /// It could not have been answered within its own deadline.
    Deadline = 4,
    /// A part that the layer watches is pressed, or a state is forced.
    Pressure = 5,
    /// The part is shutting down.
    Draining = 6,
    /// Its answer is a stream, and as many are open as may be. The service has worked on it.
    Streams = 7,
}

impl ShedReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Limit,
        Self::Priority,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::Deadline,
        Self::Pressure,
        Self::Draining,
        Self::Streams,
    ];

    /// The reason in snake case, for metrics and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Priority => "priority",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Deadline => "deadline",
            Self::Pressure => "pressure",
            Self::Draining => "draining",
            Self::Streams => "streams",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Limit => "as many calls are in flight as may be",
            Self::Priority => "more important calls go first",
            Self::QueueFull => "the queue is full",
            Self::QueueTimeout => "no slot came free in time",
            Self::Deadline => "the deadline of the call cannot be met",
            Self::Pressure => "what is behind it is under pressure",
            Self::Draining => "it is shutting down",
            Self::Streams => "as many streams are open as may be",
        }
    }
}

impl fmt::Display for ShedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_by_their_numbers_and_have_names_of_their_own() {
        assert!((0..).zip(ShedReason::ALL).all(|(number, reason)| reason as u8 == number));
        assert!(ShedReason::ALL.map(ShedReason::as_str).iter().collect::<std::collections::HashSet<_>>().len() == 8);
        assert_eq!(format!("[{:>9}]", ShedReason::Limit), "[    limit]");
    }

    #[test]
    fn s3_the_answer_is_distinct_and_says_when_to_come_back() {
        let overloaded = Overloaded::new(State::Draining, ShedReason::Draining, Duration::from_secs(2));
        let error: Box<dyn Error + Send + Sync> = overloaded.into();
        let found = error.downcast_ref::<Overloaded>().unwrap();
        assert_eq!((found.retry_after(), found.is_draining()), (Duration::from_secs(2), true));
        assert_eq!(error.to_string(), "overloaded: it is shutting down (draining)");
    }
}
