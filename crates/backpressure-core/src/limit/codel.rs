//! CoDel: how long a call may wait for a slot.

use std::time::{Duration, Instant};

use crate::ConfigError;

/// As long as a call may wait at most because it says that it can.
const MOST_TOLD: Duration = Duration::from_secs(2);
/// So many times as many calls that say how much time they have may wait.
const TOLD: usize = 64;

/// The rule of a short queue in front of a limit: patient with a burst, impatient with a queue that stands.
///
/// A burst fills a queue and is gone a moment later; refusing it would be a mistake. A queue that has not been empty
/// for a while will not be empty soon, and waiting in it only makes everybody late. So a waiter is given 50 ms, but
/// 5 ms once the queue has been standing for 100 ms; and while it stands the newest waiter goes first, because the
/// caller of the oldest has probably given up. There is also less room in it then: who cannot be served in 5 ms is refused
/// now rather than in 5 ms.
///
/// A short queue is empty now and then even under ten times the load, so that by itself says nothing: it stands until it has
/// been empty for 20 ms on end, a fifth of what it took.
///
/// ```text
///  waiting   ▂▅█▆▃▁      ▂▅▇████████████▇█████
///  patience  50 ms · · · · · · ·│5 ms · · · ·
///            first come first   │newest first
///                        ├100 ms┤
/// ```
///
/// Who says how much time there is may use half of it, up to two seconds, and such calls may be 64 times as many: a burst, or
/// what has gathered in a pause, is worked off as far as deadlines allow. The queue stands only once it has not been empty for
/// that long.
///
/// After B. Maurer, *Fail at Scale*, ACM Queue 13(8), 2015, which takes the test for a standing queue from K. Nichols and
/// V. Jacobson, *Controlling Queue Delay*, ACM Queue 10(5), 2012.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::limit::CoDel;
///
/// let ms = Duration::from_millis;
/// let start = Instant::now();
/// let mut queue = CoDel::default();
/// queue.observe(start, 3);
/// assert_eq!(queue.patience(start), ms(50));
/// assert_eq!(queue.patience(start + ms(100)), ms(5));
/// queue.observe(start + ms(120), 0);
/// assert_eq!(queue.patience(start + ms(130)), ms(5));
/// assert_eq!(queue.patience(start + ms(140)), ms(50));
/// ```
#[derive(Debug, Clone)]
pub struct CoDel {
    patient: Duration,
    impatient: Duration,
    interval: Duration,
    min_bound: usize,
    /// When it was last empty, but for moments while it stood.
    since: Option<Instant>,
    /// When it became empty while it stood; `None` while somebody waits.
    emptied: Option<Instant>,
    /// Whether it was standing when it was last observed.
    stood: bool,
    /// How long those that wait have said that they can, at most.
    told: Duration,
}

impl CoDel {
    /// The rule with its defaults: 50 ms, 5 ms, 100 ms, and room for at least 16 waiters.
    pub const fn new() -> Self {
        Self {
            patient: Duration::from_millis(50),
            impatient: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            min_bound: 16,
            since: None,
            emptied: None,
            stood: false,
            told: Duration::ZERO,
        }
    }

    /// How long a waiter may wait while the queue comes and goes, and while it stands. Default 50 ms and 5 ms.
    ///
    /// The first should be a fraction of what a caller would still call fast; more of it takes larger bursts. The second
    /// should be what is no worse than a scheduling hiccup; more of it makes every answer under overload later.
    ///
    /// # Errors
    ///
    /// Refuses a `standing` above `passing` (`patience_standing`).
    pub fn with_patience(mut self, passing: Duration, standing: Duration) -> Result<Self, ConfigError> {
        if standing > passing {
            let bound = format!("at most patience_passing ({passing:?})");
            return Err(ConfigError::new("patience_standing", format_args!("{standing:?}"), bound));
        }
        (self.patient, self.impatient) = (passing, standing);
        Ok(self)
    }

    /// How long the queue must not have been empty to be called standing. Default 100 ms, some round trips of a call. It
    /// ends when the queue has been empty for a fifth of that.
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Most waiters under that `limit`, of those who do not say how much time they have: as many as may be in flight, but at least 16. While the queue stands, a quarter of
    /// the limit and at least 1: more have no chance to be served before their patience ends.
    pub fn bound(&self, limit: usize) -> usize {
        if self.stood { (limit / 4).max(1) } else { limit.max(self.min_bound) }
    }

    /// How long a call that must be answered by `own` may wait while the queue comes and goes: half of what is left, up to two
    /// seconds, if that is more than the usual patience.
    fn patient(&self, enqueued: Instant, own: Option<Instant>) -> Duration {
        let half = own.map_or(Duration::ZERO, |own| own.saturating_duration_since(enqueued) / 2);
        self.patient.max(half.min(MOST_TOLD))
    }

    /// Takes note of a call that begins to wait, and must be answered by `own`: a queue of calls that have time stands only
    /// once it has not been empty for as long as they may wait.
    pub fn joined(&mut self, now: Instant, own: Option<Instant>) {
        if own.is_some() {
            self.told = self.told.max(self.patient(now, own));
        }
    }

    /// Most waiters that say how much time they have, under that `limit`.
    pub fn bound_told(&self, limit: usize) -> usize {
        if self.stood { self.bound(limit) } else { limit.max(self.min_bound).saturating_mul(TOLD) }
    }

    fn stands_after(&self) -> Duration {
        self.interval.max(self.told)
    }

    /// Takes note of the number of calls that are `waiting`, after every change of it.
    pub fn observe(&mut self, now: Instant, waiting: usize) {
        let stands = self.is_standing(now);
        if waiting == 0 {
            self.since = self.since.filter(|_| stands);
            self.emptied = self.since.and(self.emptied.or(Some(now)));
        } else {
            self.since = self.since.filter(|_| stands || self.emptied.is_none()).or(Some(now));
            self.emptied = None;
        }
        self.stood = self.is_standing(now);
        if self.since.is_none() {
            self.told = Duration::ZERO;
        }
    }

    /// Whether the queue has not been empty for the interval, and since then not for a fifth of it. If so, the newest
    /// waiter goes first.
    pub fn is_standing(&self, now: Instant) -> bool {
        let passed = |since: Instant| now.saturating_duration_since(since);
        self.since.is_some_and(|since| passed(since) >= self.stands_after())
            && self.emptied.is_none_or(|emptied| passed(emptied) < self.interval / 5)
    }

    /// How long any of those that wait now may have waited.
    pub fn patience(&self, now: Instant) -> Duration {
        if self.is_standing(now) { self.impatient } else { self.patient }
    }

    /// When a call that has waited since `enqueued`, and must itself be answered by `own`, is to be refused.
    ///
    /// The answer moves nearer at the moment the queue becomes [standing](CoDel::is_standing), so it already tells that
    /// moment where it comes first. `None` if that is beyond the end of time.
    pub fn deadline(&self, enqueued: Instant, own: Option<Instant>) -> Option<Instant> {
        let patient = enqueued.checked_add(self.patient(enqueued, own));
        let stands = self.since.and_then(|since| since.checked_add(self.stands_after()));
        let impatient = enqueued.checked_add(self.impatient).zip(stands).map(|(waited, stands)| waited.max(stands));
        [patient, impatient, own].into_iter().flatten().min()
    }
}

impl Default for CoDel {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_is_given_50_ms_and_a_standing_queue_5_ms() {
        let start = Instant::now();
        let mut queue = CoDel::new();
        assert_eq!((queue.patience(start), queue.is_standing(start)), (50 * MS, false));
        queue.observe(start, 1);
        queue.observe(start + 60 * MS, 7);
        assert_eq!(queue.patience(start + 99 * MS), 50 * MS);
        assert_eq!(queue.patience(start + 100 * MS), 5 * MS, "not empty since the first, however many there are");
        assert!(queue.is_standing(start + 100 * MS));
    }

    #[test]
    fn one_empty_moment_begins_the_interval_anew() {
        let start = Instant::now();
        let mut queue = CoDel::new();
        queue.observe(start, 20);
        queue.observe(start + 99 * MS, 0);
        queue.observe(start + 99 * MS, 1);
        assert!(!queue.is_standing(start + 198 * MS));
        assert!(queue.is_standing(start + 199 * MS));
    }

    #[test]
    fn twenty_empty_milliseconds_on_end_end_the_standing_and_moments_do_not() {
        let start = Instant::now();
        let mut queue = CoDel::new();
        queue.observe(start, 20);
        for moment in [200, 210, 220, 230] {
            queue.observe(start + moment * MS, 0);
            assert!(queue.is_standing(start + (moment + 9) * MS));
            queue.observe(start + (moment + 9) * MS, 1);
        }
        queue.observe(start + 300 * MS, 0);
        assert!(queue.is_standing(start + 319 * MS) && !queue.is_standing(start + 320 * MS));
        for came in [320, 1000] {
            let mut queue = queue.clone();
            queue.observe(start + came * MS, 1);
            assert!(!queue.is_standing(start + (came + 99) * MS) && queue.is_standing(start + (came + 100) * MS));
        }
    }

    #[test]
    fn those_who_wait_when_it_begins_to_stand_have_5_ms_in_all() {
        let start = Instant::now();
        let mut queue = CoDel::new();
        queue.observe(start, 1);
        let deadline = |ms: u32, own: Option<u32>| {
            let due = queue.deadline(start + ms * MS, own.map(|own| start + own * MS)).unwrap();
            (due - start).as_millis()
        };
        assert_eq!(deadline(0, None), 50);
        assert_eq!(deadline(60, None), 100, "110 otherwise");
        assert_eq!(deadline(97, None), 102);
        assert_eq!(deadline(200, None), 205);
        assert_eq!(deadline(200, Some(201)), 201, "its own deadline comes first");
    }

    #[test]
    fn there_is_room_for_as_many_as_may_be_in_flight_but_at_least_16() {
        assert_eq!([0, 2, 16, 17, usize::MAX].map(|limit| CoDel::new().bound(limit)), [16, 16, 16, 17, usize::MAX]);
    }

    #[test]
    fn while_it_stands_there_is_room_for_those_who_can_be_served_in_time() {
        let start = Instant::now();
        let mut queue = CoDel::new();
        queue.observe(start, 1);
        queue.observe(start + 100 * MS, 12);
        assert_eq!([1, 7, 8, 400].map(|limit| queue.bound(limit)), [1, 1, 2, 100]);
        queue.observe(start + 101 * MS, 0);
        queue.observe(start + 121 * MS, 0);
        assert_eq!(queue.bound(8), 16);
    }

    #[test]
    fn k1_d6_no_clock_and_no_duration_is_too_much() {
        let start = Instant::now();
        let endless = CoDel::new().with_patience(Duration::MAX, Duration::MAX).unwrap().with_interval(Duration::MAX);
        for mut queue in [CoDel::new(), endless] {
            queue.observe(start + 200 * MS, 1);
            queue.observe(start, 1);
            assert!(!queue.is_standing(start));
        }
        let mut queue = CoDel::new().with_patience(Duration::MAX, Duration::ZERO).unwrap().with_interval(Duration::MAX);
        queue.observe(start, 1);
        assert_eq!(queue.deadline(start, None), None);
        let refused = CoDel::new().with_patience(MS, 2 * MS).unwrap_err().to_string();
        assert_eq!(refused, "patience_standing is 2ms, but must be at most patience_passing (1ms)");
    }

    proptest! {
        #[test]
        fn a_waiter_is_refused_exactly_when_it_has_waited_for_longer_than_the_patience(
            enqueued in 0u32..300,
            now in 0u32..300,
        ) {
            let start = Instant::now();
            let mut queue = CoDel::new();
            queue.observe(start, 1);
            let due = queue.deadline(start + enqueued * MS, None).unwrap();
            let now = now.max(enqueued);
            let waited = (now - enqueued) * MS;
            prop_assert_eq!(start + now * MS >= due, waited >= queue.patience(start + now * MS));
        }
    }
}
