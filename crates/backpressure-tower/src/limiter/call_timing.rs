//! The timing of a call that has a slot, in one word.

use std::fmt;
use std::time::Duration;

use super::fate::Fate;

/// A permit is moved several times before it comes to rest. With this it is two words, which travel in registers.
///
/// ```text
///  63 ····· 61  60        59       58 ····· 53  52 ····· 40  39 ······ 0
///  fate         reserved  sending  class        delay        started
/// ```
#[derive(Clone, Copy, Default)]
pub(super) struct CallTiming(u64);

/// When a call that is timed was admitted, in units of 64 ns of the limiter's own; 0 if it is not timed. The units start
/// anew every 19 hours.
const STARTED: u64 = (1 << 40) - 1;
const UNIT: u32 = 6;

/// From admission to the first poll of the work, in units of 500 µs, and one more; 0 before it. At most 4 s.
const DELAY: u32 = 40;
const MOST_DELAYED: u64 = (1 << 13) - 1;
const DELAY_UNIT: u64 = 500_000;

/// The number of its class; 0 if it has none.
const CLASS: u32 = 53;
pub(super) const MOST_CLASSES: usize = (1 << 6) - 1;

/// Whether it was answered before it is dropped.
const SENDING: u64 = 1 << 59;

/// Whether the call is one of the reserve.
const RESERVED: u64 = 1 << 60;

/// How it went: the number of the fate, or 0 for nothing yet.
const FATE: u32 = 61;

/// The times of a call that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    started: u64,
    pub(super) delay: Duration,
}

impl Timing {
    /// How long the call has taken, `nanos` after the limiter was made; nothing if the clock has gone back.
    pub(super) const fn latency(&self, nanos: u64) -> Duration {
        Duration::from_nanos(since(self.started, nanos))
    }
}

/// The nanoseconds since a call started.
const fn since(started: u64, nanos: u64) -> u64 {
    let units = units(nanos).wrapping_sub(started) & STARTED;
    if units > STARTED / 2 { 0 } else { units << UNIT }
}

/// Never 0.
const fn units(nanos: u64) -> u64 {
    let units = (nanos >> UNIT) & STARTED;
    if units == 0 { 1 } else { units }
}

impl CallTiming {
    /// Of a permit without a slot: no call is answered before it has ended.
    pub(super) const DISOWNED: Self = Self(SENDING);

    /// The call is timed from here on, `nanos` after the limiter was made.
    pub(super) const fn start(&mut self, nanos: u64) {
        self.0 = self.0 & !STARTED | units(nanos);
    }

    #[inline]
    pub(super) const fn is_timed(self) -> bool {
        self.0 & STARTED != 0
    }

    /// Whether the call is timed, and its work has not begun.
    #[inline]
    pub(super) const fn is_to_begin(self) -> bool {
        self.is_timed() && (self.0 >> DELAY) & MOST_DELAYED == 0
    }

    /// The work begins.
    pub(super) fn begin(&mut self, nanos: u64) {
        let delay = (since(self.0 & STARTED, nanos) / DELAY_UNIT) + 1;
        self.0 |= delay.min(MOST_DELAYED) << DELAY;
    }

    /// Its times, once.
    #[inline]
    pub(super) fn take_timing(&mut self) -> Option<Timing> {
        if !self.is_timed() {
            return None;
        }
        let delay = ((self.0 >> DELAY) & MOST_DELAYED).saturating_sub(1) * DELAY_UNIT;
        let timing = Timing { started: self.0 & STARTED, delay: Duration::from_nanos(delay) };
        self.0 &= !STARTED;
        Some(timing)
    }

    #[inline]
    pub(super) const fn fate(self) -> Option<Fate> {
        Fate::from_number(self.0 >> FATE)
    }

    /// Only the first fate counts. Answers whether this is it.
    #[inline]
    pub(super) const fn end(&mut self, fate: Fate) -> bool {
        let is_first = self.0 >> FATE == 0;
        if is_first {
            self.0 |= (fate as u64) << FATE;
        }
        is_first
    }

    pub(super) const fn send(&mut self) {
        self.0 |= SENDING;
    }

    #[inline]
    pub(super) const fn is_sending(self) -> bool {
        self.0 & SENDING != 0
    }

    /// The call is one of this class.
    pub(super) const fn classify(&mut self, class: u8) {
        self.0 |= (class as u64 & MOST_CLASSES as u64) << CLASS;
    }

    #[inline]
    pub(super) const fn class(self) -> u8 {
        (self.0 >> CLASS) as u8 & MOST_CLASSES as u8
    }

    pub(super) const fn reserve(&mut self) {
        self.0 |= RESERVED;
    }

    #[inline]
    pub(super) const fn is_reserved(self) -> bool {
        self.0 & RESERVED != 0
    }
}

impl fmt::Debug for CallTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTiming").field("fate", &self.fate()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn timing(started: u64, began: Option<u64>) -> Option<Timing> {
        let mut call_timing = CallTiming::default();
        call_timing.start(started);
        began.into_iter().for_each(|began| call_timing.begin(began));
        call_timing.take_timing()
    }

    #[test]
    fn the_parts_of_the_word_do_not_touch_each_other() {
        for fate in (1..8).filter_map(Fate::from_number) {
            let mut call_timing = CallTiming::default();
            assert!(call_timing.end(fate) && !call_timing.end(Fate::Success));
            call_timing.reserve();
            call_timing.send();
            call_timing.classify(fate as u8 * 9);
            call_timing.start(u64::MAX);
            call_timing.begin(u64::MAX);
            assert_eq!(
                (call_timing.fate(), call_timing.is_reserved(), call_timing.is_sending(), call_timing.class()),
                (Some(fate), true, true, fate as u8 * 9)
            );
            assert!(call_timing.is_timed() && !call_timing.is_to_begin());
            assert_eq!(call_timing.take_timing().map(|timing| timing.delay), Some(Duration::ZERO));
            assert_eq!((call_timing.fate(), call_timing.take_timing()), (Some(fate), None));
        }
        assert!(CallTiming::default().fate().is_none() && !CallTiming::default().is_to_begin());
    }

    #[test]
    fn times_are_kept_as_well_as_matters() {
        for started in [0, 1, 7 * MS, u64::MAX / 3] {
            let timing = timing(started, Some(started.saturating_add(3 * MS))).unwrap();
            let latency = timing.latency(started.saturating_add(250 * MS));
            assert!(latency.abs_diff(Duration::from_millis(250)) < Duration::from_nanos(200), "{latency:?}");
            assert!(timing.delay.abs_diff(Duration::from_millis(3)) < Duration::from_micros(501), "{:?}", timing.delay);
        }
        assert_eq!(timing(MS, None).unwrap().delay, Duration::ZERO);
    }

    #[test]
    fn d6_k1_no_clock_is_too_far_ahead_or_behind() {
        let hour = 3600 * 1000 * MS;
        assert_eq!(timing(hour, Some(0)).unwrap().delay, Duration::ZERO);
        assert_eq!(timing(hour, None).unwrap().latency(0), Duration::ZERO);
        assert_eq!(timing(0, None).unwrap().latency(9 * hour).as_secs(), 9 * 3600 - 1);
        assert_eq!(timing(0, Some(9 * hour)).unwrap().delay.as_secs(), 4);
        let around = (STARTED << UNIT) - MS;
        assert_eq!(timing(around, None).unwrap().latency(around + 5 * MS).as_millis(), 5, "the units start anew");
        timing(u64::MAX, Some(u64::MAX)).unwrap().latency(0);
    }
}
