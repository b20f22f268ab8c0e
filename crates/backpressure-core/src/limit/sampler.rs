//! The sampler: it gathers events into windows.

use std::time::{Duration, Instant};

use super::{Quantiles, Window};

const SHORTEST: Duration = Duration::from_millis(100);
/// The first window may be as short as this, and each one half as long again, until they have their usual length.
const FIRST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_secs(1);
/// As far as a window is extended for calls that are longer than [`LONGEST`].
const ENOUGH: Duration = Duration::from_secs(60);
/// A mean of fewer departures is noise.
const DEPARTURES: u64 = 25;
/// So many latencies of a window are kept; of more, every one has the same chance.
const LATENCIES: usize = 256;

/// Gathers arrivals and departures into [`Window`]s.
///
/// A window is twice as long as a call usually takes, within 100 ms and 1 s, and no shorter than a call: long enough for a
/// change of the limit to show in what it measures, short enough to react. One with fewer than 25 departures goes on for at
/// least a second. The first windows are as short as 2 ms, and each may be half as long again as the one before, so that a
/// limit finds its way within a few round trips.
///
/// It need not be told of everything. Calls in flight, latencies and delays may be told for a sample of the calls, such as
/// one in sixteen; departures and overloads are told as sums, with nothing left out.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::limit::Sampler;
///
/// let (start, ms) = (Instant::now(), Duration::from_millis(1));
/// let mut sampler = Sampler::new(start);
/// for call in 0..50 {
///     let now = start + call * 4 * ms;
///     sampler.in_flight(now, 1, 8);
///     sampler.timed(2 * ms, Duration::ZERO);
///     sampler.departed(1, 0);
///     sampler.in_flight(now + 2 * ms, 0, 8);
/// }
/// let window = sampler.close(start + 200 * ms).unwrap();
/// assert_eq!((window.departures, window.peak, window.saturated), (50, 1, false));
/// assert!((window.in_flight - 0.5).abs() < 1e-9);
/// assert!((window.residence().unwrap() - 0.002).abs() < 1e-9);
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    start: Instant,
    last: Instant,
    in_flight: usize,
    /// Calls in flight × seconds, from `start` to `last`.
    area: f64,
    peak: usize,
    saturated: bool,
    departures: u64,
    overloads: u64,
    cancelled: u64,
    timed: u32,
    answered: u32,
    latency: Duration,
    min_latency: Option<Duration>,
    delay: Duration,
    /// Some of the latencies, in seconds.
    latencies: Vec<f32>,
    /// How long a call usually took in the last window that knew: half of them no longer than that.
    usual: Duration,
    /// The shortest window.
    shortest: Duration,
}

impl Sampler {
    /// A sampler whose first window begins at `now`, with nothing in flight.
    pub const fn new(now: Instant) -> Self {
        Self {
            start: now,
            last: now,
            in_flight: 0,
            area: 0.0,
            peak: 0,
            saturated: false,
            departures: 0,
            overloads: 0,
            cancelled: 0,
            timed: 0,
            answered: 0,
            latency: Duration::ZERO,
            min_latency: None,
            delay: Duration::ZERO,
            latencies: Vec::new(),
            usual: Duration::ZERO,
            shortest: FIRST,
        }
    }

    /// Takes note that `in_flight` calls are in flight from `now` on, under that `limit`.
    pub fn in_flight(&mut self, now: Instant, in_flight: usize, limit: usize) {
        self.advance(now);
        self.in_flight = in_flight;
        self.peak = self.peak.max(in_flight);
        self.saturated |= in_flight >= limit;
    }

    /// Takes note that the limit was felt: somebody was refused, or had to wait.
    pub fn saturate(&mut self) {
        self.saturated = true;
    }

    /// Takes note of a call that left after `latency`, and whose work began `delay` after it came.
    pub fn timed(&mut self, latency: Duration, delay: Duration) {
        let (at, seconds) = (self.place(), latency.as_secs_f32());
        if let Some(kept) = self.latencies.get_mut(at) {
            *kept = seconds;
        } else if self.latencies.len() < LATENCIES {
            self.latencies.reserve_exact(LATENCIES - self.latencies.len());
            self.latencies.push(seconds);
        }
        self.answered = self.answered.saturating_add(1);
        self.failed(latency, delay);
    }

    /// The same of a call that ended as an overload: when a call times out says nothing about how long calls take, so it is no
    /// part of the [`quantiles`](Window::quantiles).
    pub fn failed(&mut self, latency: Duration, delay: Duration) {
        self.timed = self.timed.saturating_add(1);
        self.latency = self.latency.saturating_add(latency);
        self.delay = self.delay.saturating_add(delay);
        self.min_latency = Some(self.min_latency.map_or(latency, |min| min.min(latency)));
    }

    /// Takes note of `calls` that left, `overloads` of them because something is overloaded.
    pub fn departed(&mut self, calls: u64, overloads: u64) {
        self.departures = self.departures.saturating_add(calls);
        self.overloads = self.overloads.saturating_add(overloads.min(calls));
    }

    /// Takes note that so many of the calls that left were cancelled.
    pub fn cancelled(&mut self, calls: u64) {
        self.cancelled = self.cancelled.saturating_add(calls);
    }

    /// Ends the window if it is due, and begins the next one.
    pub fn close(&mut self, now: Instant) -> Option<Window> {
        let length = now.saturating_duration_since(self.start);
        if length < self.due() {
            return None;
        }
        self.advance(now);
        let timed = self.timed.max(1);
        let window = Window {
            departures: self.departures,
            overloads: self.overloads,
            cancelled: self.cancelled.min(self.departures),
            in_flight: self.area / length.as_secs_f64(),
            peak: self.peak,
            saturated: self.saturated,
            latency: self.min_latency.map(|_| self.latency / timed),
            min_latency: self.min_latency,
            quantiles: Quantiles::of(&mut self.latencies),
            delay: self.delay / timed,
            ..Window::new(now, length)
        };
        let residence = || window.residence().map(|seconds| Duration::from_secs_f64(seconds.min(1e6)));
        let usual = window.quantiles.map(|quantiles| quantiles.median()).or_else(residence).unwrap_or(self.usual);
        let shortest = (self.shortest * 3 / 2).min(SHORTEST);
        let (in_flight, mut latencies) = (self.in_flight, std::mem::take(&mut self.latencies));
        latencies.clear();
        *self = Self { in_flight, peak: in_flight, usual, shortest, latencies, ..Self::new(now) };
        Some(window)
    }

    /// When the window is due, if nothing more departs before; `None` while nothing is going on, and beyond the end of
    /// time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_idle = self.in_flight == 0 && self.departures == 0;
        if is_idle { None } else { self.start.checked_add(self.due()) }
    }

    /// Before this no [`close`](Self::close) ends the window, however much departs; `None` beyond the end of time. It changes
    /// only when a window ends.
    pub fn earliest(&self) -> Option<Instant> {
        self.start.checked_add(self.two().max(self.shortest))
    }

    /// How long the window is to be, by what has departed so far.
    fn due(&self) -> Duration {
        self.two().max(if self.departures < DEPARTURES { LONGEST } else { self.shortest })
    }

    /// Twice as long as a call usually takes, within bounds.
    fn two(&self) -> Duration {
        self.usual.saturating_mul(2).min(LONGEST.max(self.usual)).min(ENOUGH)
    }

    /// Where the next latency is kept, if it is: a reservoir (J. S. Vitter, *Random Sampling with a Reservoir*, ACM
    /// Transactions on Mathematical Software 11(1), 1985). The lots are drawn by a hash of their number.
    fn place(&self) -> usize {
        if (self.answered as usize) < LATENCIES {
            return self.answered as usize;
        }
        let lot = u64::from(self.answered).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        ((lot * (u64::from(self.answered) + 1)) >> 32) as usize
    }

    fn advance(&mut self, now: Instant) {
        if now > self.last {
            self.area += self.in_flight as f64 * (now - self.last).as_secs_f64();
            self.last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// With windows of their usual length.
    fn busy(start: Instant, departures: u64) -> Sampler {
        let mut sampler = Sampler { shortest: SHORTEST, ..Sampler::new(start) };
        sampler.in_flight(start, 5, 10);
        sampler.departed(departures, 0);
        sampler
    }

    #[test]
    fn a_window_ends_after_100_ms_with_25_departures_and_after_a_second_without() {
        let start = Instant::now();
        for (departures, due) in [(25, 100), (24, 1000), (0, 1000)] {
            let mut sampler = busy(start, departures);
            assert_eq!(sampler.poll_timeout(), Some(start + due * MS));
            assert_eq!(sampler.close(start + due * MS - MS), None);
            assert_eq!(sampler.earliest(), Some(start + 100 * MS), "whatever departs");
            let window = sampler.close(start + due * MS).unwrap();
            assert_eq!((window.departures, window.end, window.length), (departures, start + due * MS, due * MS));
        }
    }

    #[test]
    fn the_first_windows_are_as_short_as_two_round_trips() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        let mut now = start;
        for length in [2000, 3000, 4500, 6750] {
            sampler.in_flight(now, 5, 10);
            (0..25).for_each(|_| sampler.timed(MS, Duration::ZERO));
            sampler.departed(25, 0);
            let due = now + Duration::from_micros(length);
            assert_eq!((sampler.poll_timeout(), sampler.earliest()), (Some(due), Some(due)));
            sampler.close(due).unwrap();
            now = due;
        }
    }

    #[test]
    fn a_window_is_two_residence_times_long() {
        let start = Instant::now();
        let mut sampler = busy(start, 25);
        let window = sampler.close(start + 1000 * MS).unwrap();
        assert_eq!(window.residence(), Some(0.2));
        sampler.departed(25, 0);
        assert_eq!(sampler.poll_timeout(), Some(start + 1400 * MS));
    }

    #[test]
    fn few_long_calls_are_waited_for() {
        let start = Instant::now();
        let mut sampler = busy(start, 1);
        sampler.timed(5000 * MS, Duration::ZERO);
        sampler.close(start + 1000 * MS).unwrap();
        assert_eq!(sampler.poll_timeout(), Some(start + 6000 * MS));
    }

    #[test]
    fn the_area_is_averaged_over_time_and_the_peak_begins_anew() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        sampler.in_flight(start, 4, 8);
        sampler.in_flight(start + 250 * MS, 8, 8);
        sampler.in_flight(start + 500 * MS, 0, 8);
        sampler.in_flight(start + 750 * MS, 2, 8);
        let window = sampler.close(start + 1000 * MS).unwrap();
        assert_eq!((window.in_flight, window.peak, window.saturated), (3.5, 8, true));
        let next = sampler.close(start + 2000 * MS).unwrap();
        assert_eq!((next.in_flight, next.peak, next.saturated), (2.0, 2, false), "two are still there");
    }

    #[test]
    fn latencies_are_averaged_over_the_timed_calls_only() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        sampler.departed(32, 40);
        sampler.timed(10 * MS, 2 * MS);
        sampler.timed(20 * MS, 4 * MS);
        let window = sampler.close(start + 100 * MS).unwrap();
        assert_eq!((window.latency, window.min_latency, window.delay), (Some(15 * MS), Some(10 * MS), 3 * MS));
        assert_eq!((window.departures, window.overloads), (32, 32), "no more overloads than departures");
    }

    #[test]
    fn w3_at_rest_there_is_nothing_to_wait_for() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        assert_eq!(sampler.poll_timeout(), None);
        sampler.in_flight(start, 1, 8);
        sampler.in_flight(start + MS, 0, 8);
        sampler.departed(1, 0);
        assert!(sampler.close(sampler.poll_timeout().unwrap()).is_some());
        assert_eq!(sampler.poll_timeout(), None);
    }

    #[test]
    fn d6_k1_extremes_neither_panic_nor_overflow() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start + 1000 * MS);
        for _ in 0..3 {
            sampler.in_flight(start, usize::MAX, 0);
            sampler.timed(Duration::MAX, Duration::MAX);
            sampler.departed(u64::MAX, u64::MAX);
            assert_eq!(sampler.close(start), None, "a clock that goes back closes nothing");
        }
        let far = start + Duration::from_secs(1 << 40);
        let window = sampler.close(far).unwrap();
        assert!(window.in_flight.is_finite() && window.residence().is_some());
        assert_eq!(sampler.close(start), None);
        sampler.close(far + Duration::from_secs(1 << 40)).unwrap();
    }

    proptest! {
        #[test]
        fn little_s_law_holds_for_what_began_and_ended_in_the_window(
            calls in prop::collection::vec((0u32..800, 0u32..200), 25..100),
        ) {
            let start = Instant::now();
            let mut sampler = Sampler::new(start);
            let mut events: Vec<_> = calls.iter().flat_map(|&(at, for_)| [(at, 1), (at + for_, -1)]).collect();
            events.sort_unstable();
            let mut in_flight = 0isize;
            for (at, change) in events {
                in_flight += change;
                sampler.in_flight(start + at * MS, in_flight.max(0) as usize, usize::MAX);
                sampler.departed(u64::from(change < 0), 0);
            }
            let window = sampler.close(start + 1000 * MS).unwrap();
            let mean = calls.iter().map(|&(_, for_)| f64::from(for_)).sum::<f64>() / calls.len() as f64 / 1000.0;
            prop_assert!((window.residence().unwrap() - mean).abs() < 1e-6, "{window:?} {mean}");
        }
    }
}
