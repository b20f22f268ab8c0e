//! The answer to a call that was shed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use backpressure_core::{Refusal, Refused, State};

/// A call was refused before anything was done for it. It may be made again, here after
/// [`retry_after`](Self::retry_after), or somewhere else at once. (If it is refused as one [stream](ShedReason::Streams) too
/// many, its handler has run.)
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::State;
/// use backpressure_tower::{Overloaded, ShedReason};
///
/// let overloaded = Overloaded::new(State::Blocked, ShedReason::Limit, Duration::from_millis(250)).with_in_flight(64);
/// assert_eq!(overloaded.to_string(), "overloaded: concurrency limit reached (64 in flight)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overloaded {
    state: State,
    reason: ShedReason,
    retry_after: Duration,
    /// At that moment; zero if it is not known.
    in_flight: u32,
}

impl Overloaded {
    /// The answer of a part in this `state` that refuses for this `reason`.
    pub const fn new(state: State, reason: ShedReason, retry_after: Duration) -> Self {
        Self { state, reason, retry_after, in_flight: 0 }
    }

    /// The same answer, which says how many calls were in flight, or how many streams were open where there were too many of
    /// those.
    #[must_use]
    pub const fn with_in_flight(self, in_flight: usize) -> Self {
        let in_flight = if in_flight > u32::MAX as usize { u32::MAX } else { in_flight as u32 };
        Self { in_flight, ..self }
    }

    /// How many calls were in flight when this one was refused, or how many streams were open if it would have been one too many;
    /// `None` if it was refused for something else.
    pub const fn in_flight(&self) -> Option<usize> {
        if self.in_flight == 0 { None } else { Some(self.in_flight as usize) }
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
        f.write_str(self.reason.sentence())?;
        match self.reason {
            ShedReason::Pressure => write!(f, " ({})", self.state),
            ShedReason::Streams if self.in_flight > 0 => write!(f, " ({} open)", self.in_flight),
            _ if self.in_flight > 0 => write!(f, " ({} in flight)", self.in_flight),
            _ => Ok(()),
        }
    }
}

impl Error for Overloaded {}

impl Refused for Overloaded {
    fn refusal(&self) -> Refusal {
        let retry_after = self.retry_after;
        match self.reason {
            ShedReason::Draining => Refusal::Closed { retry_after },
            _ => Refusal::Busy { retry_after },
        }
    }
}

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
    /// As many calls of its [class](crate::ShedLayer::class_by) are in flight as fit: what they need is dead or full.
    Class = 8,
}

impl ShedReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Limit,
        Self::Priority,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::Deadline,
        Self::Pressure,
        Self::Draining,
        Self::Streams,
        Self::Class,
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
            Self::Class => "class",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Limit => "overloaded: concurrency limit reached",
            Self::Priority => "overloaded: more important calls go first",
            Self::QueueFull => "overloaded: wait queue is full",
            Self::QueueTimeout => "overloaded: timed out in the wait queue",
            Self::Deadline => "overloaded: deadline of the call cannot be met",
            Self::Pressure => "overloaded: downstream is under pressure",
            Self::Draining => "shutting down: no new calls are accepted",
            Self::Streams => "overloaded: stream limit reached",
            Self::Class => "overloaded: concurrency limit of this class of calls reached",
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
        assert!(ShedReason::ALL.map(ShedReason::as_str).iter().collect::<std::collections::HashSet<_>>().len() == 9);
        assert_eq!(format!("[{:>9}]", ShedReason::Limit), "[    limit]");
    }

    #[test]
    fn s3_the_answer_is_distinct_and_says_when_to_come_back() {
        let overloaded = Overloaded::new(State::Draining, ShedReason::Draining, Duration::from_secs(2));
        let error: Box<dyn Error + Send + Sync> = overloaded.into();
        let found = error.downcast_ref::<Overloaded>().unwrap();
        assert_eq!((found.retry_after(), found.is_draining()), (Duration::from_secs(2), true));
        assert_eq!(error.to_string(), "shutting down: no new calls are accepted");
    }
}
