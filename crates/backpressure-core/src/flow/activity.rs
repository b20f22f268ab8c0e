//! What a part does with its time.

use std::fmt;

/// What becomes of time: one of three things, as in Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Work {
    /// Waiting for input.
    #[default]
    Idle = 0,
    /// Working.
    Busy = 1,
    /// Holding something that what is behind does not take.
    Blocked = 2,
}

impl Work {
    /// All three, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Busy, Self::Blocked];

    /// The word in lower case, as it stands in the `work` attribute of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a part does at present: it waits for input, works, or is blocked, wholly or with some of its places.
///
/// A part that may have four flushes in flight and has one is busy for a quarter, and idle for the rest: it has room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    work: Work,
    /// The share of time that goes there is `taken / places`; the rest is idle.
    taken: u32,
    places: u32,
}

impl Activity {
    /// Waits for input.
    pub const IDLE: Self = Self { work: Work::Idle, taken: 0, places: 1 };
    /// Works, and can do no more.
    pub const BUSY: Self = Self { work: Work::Busy, taken: 1, places: 1 };
    /// Has something that what is behind does not take.
    pub const BLOCKED: Self = Self { work: Work::Blocked, taken: 1, places: 1 };

    /// Works with so many of its places. More than all count as all, and none at all as idle.
    pub fn busy(taken: usize, places: usize) -> Self {
        if taken == 0 {
            return Self::IDLE;
        }
        if taken >= places {
            return Self::BUSY;
        }
        // Far beyond what can be told apart the proportion is kept.
        let shift = (usize::BITS - places.leading_zeros()).saturating_sub(Self::BITS);
        let [taken, places] = [taken, places].map(|number| u32::try_from(number >> shift).unwrap_or(u32::MAX));
        if taken == 0 { Self::IDLE } else { Self { work: Work::Busy, taken, places } }
    }

    /// The same for a part that somebody behind it holds up: what is busy by itself is blocked.
    #[must_use]
    pub const fn held_up(self, is_held_up: bool) -> Self {
        match self.work {
            Work::Busy if is_held_up => Self { work: Work::Blocked, ..self },
            _ => self,
        }
    }

    /// What is not idle of it, and how much of the time that is: so many parts of so many.
    pub(crate) const fn parts(self) -> (Work, u32, u32) {
        (self.work, self.taken, self.places)
    }

    const BITS: u32 = 31;

    /// In one word, below [`u64::MAX`].
    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        (self.work as u64) << (2 * Self::BITS) | (self.taken as u64) << Self::BITS | self.places as u64
    }

    /// The one that [`to_bits`](Self::to_bits) maps to these.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let work = *Work::ALL.get(usize::try_from(bits >> (2 * Self::BITS)).ok()?)?;
        let number = |bits: u64| (bits & ((1 << Self::BITS) - 1)) as u32;
        Some(Self { work, taken: number(bits >> Self::BITS), places: number(bits).max(1) })
    }
}

impl From<Work> for Activity {
    fn from(work: Work) -> Self {
        match work {
            Work::Idle => Self::IDLE,
            Work::Busy => Self::BUSY,
            Work::Blocked => Self::BLOCKED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activity_fits_into_a_word_and_comes_out_again() {
        let largest = (1 << Activity::BITS) - 1;
        for activity in [
            Activity::IDLE,
            Activity::BUSY,
            Activity::BLOCKED,
            Activity::busy(3, 4),
            Activity::busy(largest - 1, largest),
            Activity::busy(3, 4).held_up(true),
        ] {
            assert_eq!(Activity::from_bits(activity.to_bits()), Some(activity));
        }
        assert_eq!(Activity::from_bits(u64::MAX), None);
    }

    #[test]
    fn d6_any_number_of_places_keeps_its_proportion() {
        assert_eq!(Activity::busy(0, 0), Activity::IDLE);
        assert_eq!(Activity::busy(1, 0), Activity::BUSY);
        assert_eq!(Activity::busy(5, 4), Activity::BUSY);
        assert_eq!(Activity::busy(1, usize::MAX), Activity::IDLE, "too little to tell");
        let (work, taken, places) = Activity::busy(usize::MAX / 4, usize::MAX).parts();
        assert_eq!((work, (f64::from(taken) / f64::from(places) * 1000.0) as u32), (Work::Busy, 249));
    }

    #[test]
    fn only_what_works_is_held_up() {
        assert_eq!(Activity::IDLE.held_up(true), Activity::IDLE);
        assert_eq!(Activity::BUSY.held_up(true), Activity::BLOCKED);
        assert_eq!(Activity::BUSY.held_up(false), Activity::BUSY);
        assert_eq!(Activity::BLOCKED.held_up(true), Activity::BLOCKED);
    }
}
