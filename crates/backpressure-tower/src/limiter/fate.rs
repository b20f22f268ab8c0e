//! The fates of admitted calls.

use backpressure_core::limit::Outcome;

/// What became of a call that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    Success = 1,
    Overload = 2,
    Ignored = 3,
    /// It was cut by a timeout, and others would have been, too.
    TimedOut = 4,
    /// It was cut by a timeout that others of its kind would not have met either, busy or not.
    Hurried = 5,
    Cancelled = 6,
    Panicked = 7,
}

impl Fate {
    /// The fate of this number; `None` for 0.
    #[inline]
    pub(super) const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => return None,
            1 => Self::Success,
            2 => Self::Overload,
            3 => Self::Ignored,
            4 => Self::TimedOut,
            5 => Self::Hurried,
            6 => Self::Cancelled,
            _ => Self::Panicked,
        })
    }

    /// Whether it is a reason for the limit to shrink.
    #[inline]
    pub(super) const fn is_overload(self) -> bool {
        matches!(self, Self::Overload | Self::TimedOut)
    }

    /// Whether nobody knows how the call would have ended.
    #[inline]
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Hurried | Self::Cancelled)
    }

    /// Whether there was an answer, or a timeout that stands for one.
    pub(super) const fn is_answered(self) -> bool {
        matches!(self, Self::Success | Self::Overload | Self::Ignored | Self::TimedOut)
    }

    /// Whether the time it took says how long calls take, or at least how long.
    #[inline]
    pub(super) const fn is_measure(self) -> bool {
        matches!(self, Self::Success | Self::Overload | Self::TimedOut)
    }
}

impl From<Outcome> for Fate {
    #[inline]
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Overload => Self::Overload,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Ignored => Self::Ignored,
        }
    }
}
