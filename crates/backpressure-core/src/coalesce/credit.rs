//! The credit for small frames.

use std::time::{Duration, Instant};

/// A frame of so many bytes costs who receives it no more than its payload. A smaller one costs what it lacks.
pub(super) const SMALL: usize = 256;
/// What is longer than HTTP/2's usual frame arrives in several.
const LARGEST: usize = 16 * 1024;

/// The books of a receiver that reads nothing, kept by the sender. In bytes: a small frame spends what it lacks to 256, a
/// larger one earns what it has beyond that, and 256 come back in each interval.
#[derive(Debug, Clone)]
pub(super) struct Credit {
    most: i64,
    every: Duration,
    /// Below zero while a small frame has gone ahead of the large one that pays for it.
    left: i64,
    /// The time up to which what has come back is counted; `None` while nothing is missing.
    since: Option<Instant>,
}

impl Credit {
    /// Enough for so many frames of next to nothing, at least for one. With an interval of zero everything is free.
    pub(super) const fn new(burst: u32, every: Duration) -> Self {
        let most = if burst == 0 { 1 } else { burst as i64 } * SMALL as i64;
        Self { most, every, left: most, since: None }
    }

    pub(super) const fn is_unlimited(&self) -> bool {
        self.every.is_zero()
    }

    /// Pays for a small frame of so many bytes.
    ///
    /// # Errors
    ///
    /// When there will be enough.
    pub(super) fn spend(&mut self, len: usize, now: Instant) -> Result<(), Instant> {
        self.refill(now);
        let since = *self.since.get_or_insert(now);
        let short = cost(len) - self.left;
        if short <= 0 {
            self.left -= cost(len);
            return Ok(());
        }
        // A time that cannot be told never comes; a day from now somebody asks again.
        Err(self.time(short).and_then(|time| since.checked_add(time)).unwrap_or(now + Duration::from_secs(86_400)))
    }

    /// Lets a small frame go whose successor earns at least what it costs.
    pub(super) fn owe(&mut self, len: usize) {
        self.left -= cost(len);
    }

    /// A frame of 256 bytes or more goes.
    pub(super) fn earn(&mut self, len: usize) {
        self.add((len / LARGEST).saturating_mul(LARGEST - SMALL));
        match len % LARGEST {
            0 => {}
            rest if rest < SMALL => self.left -= cost(rest),
            rest => self.add(rest - SMALL),
        }
    }

    fn add(&mut self, bytes: usize) {
        self.left = self.left.saturating_add_unsigned(bytes as u64).min(self.most);
    }

    fn refill(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let passed = now.saturating_duration_since(since).as_nanos();
        // `u128`: no time that a `Duration` can tell overflows it.
        let come_back = i64::try_from(passed * SMALL as u128 / self.every.as_nanos()).unwrap_or(i64::MAX);
        match self.time(come_back) {
            Some(time) if come_back < self.most - self.left => {
                self.left += come_back;
                self.since = Some(since + time);
            }
            _ => (self.left, self.since) = (self.most, None),
        }
    }

    /// How long it takes until so many bytes have come back.
    fn time(&self, bytes: i64) -> Option<Duration> {
        const SECOND: u128 = 1_000_000_000;
        let nanos = (bytes.unsigned_abs() as u128).checked_mul(self.every.as_nanos())?.div_ceil(SMALL as u128);
        Some(Duration::new(u64::try_from(nanos / SECOND).ok()?, (nanos % SECOND) as u32))
    }
}

fn cost(len: usize) -> i64 {
    (SMALL - len) as i64
}
