//! Quantiles of durations, in fixed memory and without a lock.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Every power of two is cut into 8 buckets of equal width. A bucket is at most an eighth of its lower edge wide, so its
/// middle is at most a sixteenth away from anything in it.
const SUB_BITS: u32 = 3;

/// The unit is 64 ns: short enough for that bound to hold from 512 ns upwards.
const UNIT_BITS: u32 = 6;

/// The first duration in nanoseconds that is too long to be told from the longest, 73 minutes.
const TOO_LONG: u64 = 1 << 42;

const BUCKETS: usize = bucket_of(TOO_LONG - 1) + 1;

const fn bucket_of(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    let shift = (u64::BITS - units.leading_zeros()).saturating_sub(SUB_BITS + 1);
    ((shift as u64) << SUB_BITS) as usize + (units >> shift) as usize
}

const fn middle_of(bucket: usize) -> Duration {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let units = bucket - (shift << SUB_BITS);
    Duration::from_nanos((2 * units as u64 + 1) << (shift as u32 + UNIT_BITS - 1))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Counts durations in buckets that widen with the duration.
///
/// A quantile is at most 6.25 % away from a duration that was recorded, from 1 µs to an hour. Shorter ones are told
/// apart to 64 ns; longer ones count as about 70 minutes. It takes about a kilobyte, allocates nothing, and may be
/// recorded to and read from any thread at once.
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::LatencyHistogram;
///
/// let latencies = LatencyHistogram::new();
/// assert_eq!(latencies.quantile(0.5), None);
/// for ms in 1..=100 {
///     latencies.record(Duration::from_millis(ms));
/// }
/// let p99 = latencies.quantile(0.99).unwrap();
/// assert!(p99.abs_diff(Duration::from_millis(99)) <= Duration::from_millis(99) / 16);
/// ```
pub struct LatencyHistogram {
    /// Counts stop at the top. They are `u32` because these histograms are many and live briefly.
    counts: [AtomicU32; BUCKETS],
}

impl LatencyHistogram {
    /// An empty histogram.
    pub const fn new() -> Self {
        Self { counts: [const { AtomicU32::new(0) }; BUCKETS] }
    }

    /// Counts `latency` in.
    pub fn record(&self, latency: Duration) {
        let count = &self.counts[bucket_of(nanos(latency).min(TOO_LONG - 1))];
        if count.fetch_add(1, Ordering::Relaxed) == u32::MAX {
            count.store(u32::MAX, Ordering::Relaxed);
        }
    }

    /// The duration that a share `q` of what was recorded does not exceed: 0.5 for the median, 1 for the longest.
    ///
    /// It is `None` while nothing is recorded, and for a `q` that is NaN. A `q` below 0 counts as 0, one above 1 as 1.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        quantile(&self.counts(), q)
    }

    /// Forgets everything. What is recorded meanwhile may be forgotten too.
    pub fn reset(&self) {
        for count in &self.counts {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed).into())
    }
}

fn quantile(counts: &[u64; BUCKETS], q: f64) -> Option<Duration> {
    let total: u64 = counts.iter().sum();
    if total == 0 || q.is_nan() {
        return None;
    }
    let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
    let mut seen = 0;
    let bucket = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    })?;
    Some(middle_of(bucket))
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "LatencyHistogram", &self.counts())
    }
}

/// A histogram of the recent past: quantiles of what was recorded in the last one to two windows.
///
/// Two histograms take turns. One fills for a window while the other keeps the window before; then the older of the two
/// is emptied and fills. It takes about two kilobytes, and allocates nothing.
///
/// Time is an argument and windows count from the first `now`. A `now` that repeats or goes backwards is harmless. At
/// the turn of a window, what other threads record at the same moment may be forgotten.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::RecentLatencies;
///
/// let latencies = RecentLatencies::new();
/// let start = Instant::now();
/// latencies.record(start, Duration::from_millis(3));
/// assert!(latencies.quantile(0.99).is_some());
///
/// latencies.advance(start + Duration::from_secs(20));
/// assert_eq!(latencies.quantile(0.99), None);
/// ```
pub struct RecentLatencies {
    window: u64,
    origin: OnceLock<Instant>,
    /// The number of the window that is filling; its lowest bit is the index of the histogram.
    current: AtomicU64,
    histograms: [LatencyHistogram; 2],
}

impl RecentLatencies {
    /// Windows of 10 seconds.
    pub const fn new() -> Self {
        Self {
            window: 10_000_000_000,
            origin: OnceLock::new(),
            current: AtomicU64::new(0),
            histograms: [const { LatencyHistogram::new() }; 2],
        }
    }

    /// Windows of the length `window`, at least a nanosecond.
    ///
    /// A longer one makes the far quantiles steadier, and slower to tell of a change.
    pub fn with_window(window: Duration) -> Self {
        Self { window: nanos(window).max(1), ..Self::new() }
    }

    /// Counts `latency` in, at `now`.
    pub fn record(&self, now: Instant, latency: Duration) {
        self.origin.get_or_init(|| now);
        self.advance(now);
        self.filling(self.current.load(Ordering::Relaxed)).record(latency);
    }

    /// Forgets what is too old at `now`.
    ///
    /// [`record`](RecentLatencies::record) does so too. It is for readers: without it, what was recorded last is
    /// remembered until something else is.
    pub fn advance(&self, now: Instant) {
        let Some(origin) = self.origin.get() else { return };
        let number = nanos(now.saturating_duration_since(*origin)) / self.window;
        let current = self.current.load(Ordering::Relaxed);
        if number <= current {
            return;
        }
        if self.current.compare_exchange(current, number, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.filling(number).reset();
            if number - current > 1 {
                self.filling(number - 1).reset();
            }
        }
    }

    /// As [`LatencyHistogram::quantile`], of the last one to two windows.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        quantile(&self.counts(), q)
    }

    fn filling(&self, number: u64) -> &LatencyHistogram {
        let [even, odd] = &self.histograms;
        if number & 1 == 0 { even } else { odd }
    }

    fn counts(&self) -> [u64; BUCKETS] {
        let [mut counts, others] = self.histograms.each_ref().map(LatencyHistogram::counts);
        counts.iter_mut().zip(others).for_each(|(count, other)| *count += other);
        counts
    }
}

impl Default for RecentLatencies {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RecentLatencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "RecentLatencies", &self.counts())
    }
}

fn debug(f: &mut fmt::Formatter<'_>, name: &str, counts: &[u64; BUCKETS]) -> fmt::Result {
    f.debug_struct(name)
        .field("count", &counts.iter().sum::<u64>())
        .field("p50", &quantile(counts, 0.5))
        .field("p99", &quantile(counts, 0.99))
        .finish_non_exhaustive()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000_000_000;
    const WINDOW: Duration = Duration::from_secs(10);

    fn is_near(estimate: Duration, truth: Duration) -> bool {
        estimate.abs_diff(truth) * 16 <= truth
    }

    /// Spread evenly over the orders of magnitude from 1 µs to an hour.
    fn latency() -> impl Strategy<Value = Duration> {
        (10u32..42)
            .prop_flat_map(|bits| (1u64 << (bits - 1))..(1 << bits))
            .prop_map(|nanos| Duration::from_nanos(nanos.clamp(1000, HOUR)))
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut edge = 0;
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(edge), bucket);
            let half = nanos(middle_of(bucket)) - edge;
            edge += 2 * half;
            assert_eq!(bucket_of(edge - 1), bucket);
        }
        assert_eq!(edge, TOO_LONG);
    }

    #[test]
    fn what_is_out_of_range_counts_at_its_end() {
        let latencies = LatencyHistogram::new();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::MAX);
        assert!(latencies.quantile(0.5).unwrap() < Duration::from_nanos(64));
        assert!(latencies.quantile(1.0).unwrap() > Duration::from_nanos(HOUR));
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_nan_asks_for_none() {
        let latencies = LatencyHistogram::new();
        assert_eq!(latencies.quantile(0.5), None);
        latencies.record(Duration::from_millis(1));
        assert_eq!(latencies.quantile(f64::NAN), None);
        assert_eq!(latencies.quantile(-1.0), latencies.quantile(2.0));
        latencies.reset();
        assert_eq!(latencies.quantile(0.5), None);
    }

    #[test]
    fn counts_stop_at_the_top() {
        let latencies = LatencyHistogram::new();
        latencies.counts[bucket_of(nanos(WINDOW))].store(u32::MAX, Ordering::Relaxed);
        latencies.record(WINDOW);
        assert!(is_near(latencies.quantile(0.5).unwrap(), WINDOW));
    }

    #[test]
    fn m1_nothing_is_lost_between_threads() {
        let latencies = LatencyHistogram::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let latencies = &latencies;
                scope.spawn(move || (0..1000).for_each(|us| latencies.record(Duration::from_micros(thread * us))));
            }
        });
        assert_eq!(latencies.counts().iter().sum::<u64>(), 4000);
    }

    #[test]
    fn a_sample_is_remembered_for_one_window_and_forgotten_after_two() {
        let start = Instant::now();
        for into_window in [Duration::ZERO, WINDOW - Duration::from_nanos(1)] {
            let latencies = RecentLatencies::with_window(WINDOW);
            latencies.record(start, Duration::from_millis(1));
            latencies.record(start + into_window, Duration::from_secs(1));
            latencies.advance(start + into_window + WINDOW);
            assert!(is_near(latencies.quantile(1.0).unwrap(), Duration::from_secs(1)));
            latencies.record(start + 2 * WINDOW, Duration::from_millis(3));
            assert!(is_near(latencies.quantile(1.0).unwrap(), Duration::from_millis(3)));
        }
    }

    #[test]
    fn a_long_silence_forgets_both_windows() {
        let start = Instant::now();
        for silence in [2, 3, 4, 1001] {
            let latencies = RecentLatencies::with_window(WINDOW);
            latencies.record(start, Duration::from_secs(1));
            latencies.record(start + WINDOW, Duration::from_secs(1));
            latencies.advance(start + WINDOW + silence * WINDOW);
            assert_eq!(latencies.quantile(1.0), None, "after {silence} windows");
        }
    }

    #[test]
    fn k1_a_clock_that_goes_back_forgets_nothing() {
        let start = Instant::now();
        let latencies = RecentLatencies::with_window(WINDOW);
        latencies.record(start, Duration::from_secs(9));
        latencies.record(start + 3 * WINDOW, Duration::from_secs(1));
        for earlier in [start + WINDOW, start, start.checked_sub(WINDOW).unwrap_or(start)] {
            latencies.record(earlier, Duration::from_millis(1));
        }
        assert!(is_near(latencies.quantile(1.0).unwrap(), Duration::from_secs(1)));
        assert!(is_near(latencies.quantile(0.0).unwrap(), Duration::from_millis(1)));
    }

    #[test]
    fn d6_windows_of_any_length_work() {
        let start = Instant::now();
        for window in [Duration::ZERO, Duration::MAX] {
            let latencies = RecentLatencies::with_window(window);
            latencies.record(start, Duration::from_millis(1));
            latencies.record(start + WINDOW, Duration::from_millis(1));
            assert!(latencies.quantile(0.5).is_some());
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_sixteenth(latencies in prop::collection::vec(latency(), 1..200), q in 0.0f64..=1.0) {
            let histogram = LatencyHistogram::new();
            latencies.iter().for_each(|latency| histogram.record(*latency));
            let mut sorted = latencies;
            sorted.sort();
            let rank = ((q * sorted.len() as f64).ceil() as usize).max(1);
            let (estimate, truth) = (histogram.quantile(q).unwrap(), sorted[rank - 1]);
            prop_assert!(is_near(estimate, truth), "{estimate:?} for {truth:?}");
        }
    }
}
