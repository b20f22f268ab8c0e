//! What an accumulator whose items expire can do.

use std::mem;
use std::time::{Duration, Instant};

use super::BatchAccumulator;
use super::expiry::Expiry;
use crate::Batch;

impl<T> BatchAccumulator<T> {
    /// Drops what is older than `max_age`, if there is one, and what is past the deadline that it was
    /// [pushed](Self::push_dated) with. For an accumulator that is empty.
    ///
    /// An item counts as having come at the latest look at the clock before it, by [`observe`](Self::observe) or
    /// [`expire`](Self::expire), or at the first there is. So look before a run of pushes that may come after a pause, and
    /// before a push that [may close](Self::may_close) a batch.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use backpressure_core::{BatchAccumulator, BatchConfig};
    ///
    /// let (start, ms) = (Instant::now(), Duration::from_millis(1));
    /// let mut batches = BatchAccumulator::new(BatchConfig::default()).expiring(Some(50 * ms));
    /// batches.expire(start);
    /// assert!(batches.push("of yesterday", 1).is_empty());
    /// batches.expire(start + 20 * ms);
    /// assert!(batches.push("of today", 1).is_empty());
    /// batches.expire(start + 50 * ms);
    /// assert_eq!(batches.take_expired(), ["of yesterday"]);
    /// assert_eq!(batches.flush().unwrap().items, ["of today"]);
    /// ```
    #[must_use]
    pub fn expiring(mut self, max_age: Option<Duration>) -> Self {
        self.light = 0;
        self.expiry = Some(Box::new(Expiry::new(max_age)));
        self
    }

    /// Whether items expire.
    #[inline]
    pub const fn is_expiring(&self) -> bool {
        self.expiry.is_some()
    }

    /// Adds an item as [`push_with`](Self::push_with) does, which expires at `deadline`: at once, if that had passed at the
    /// latest look at the clock. The deadline counts only where items [expire](Self::expiring).
    #[inline(never)]
    pub fn push_dated(&mut self, item: T, weight: usize, deadline: Option<Instant>, closed: impl FnMut(Batch<T>)) {
        match &mut self.expiry {
            Some(expiry) if expiry.has_passed(deadline) => expiry.expired.push(item),
            _ => self.push_and_close(item, weight, |batches| batches.note(weight, deadline), closed),
        }
    }

    fn note(&mut self, weight: usize, deadline: Option<Instant>) {
        if let Some(expiry) = &mut self.expiry {
            expiry.note(self.items.len(), weight, deadline);
        }
    }

    /// Whether an item of this weight closes a batch: the open one, its own, or both.
    pub fn may_close(&self, weight: usize) -> bool {
        let limit = if self.items.is_empty() { self.config.max_items() } else { self.limit };
        let reaches = |max| self.weight().checked_add(weight).is_none_or(|total| total >= max);
        self.items.len() + 1 >= limit || self.config.max_weight().is_some_and(reaches)
    }

    /// It is `now`: takes what has expired out of the open batch, without closing it. [`take_expired`](Self::take_expired)
    /// hands it out. A `now` before an earlier one counts as that.
    ///
    /// Where something has, it takes time in the length of the batch.
    pub fn expire(&mut self, now: Instant) {
        let Some(expiry) = &mut self.expiry else { return };
        let stale = expiry.look(now, self.items.len());
        let seen = self.timing.as_ref().map_or(0, |timing| timing.seen());
        let Some(left) = expiry.sift(&mut self.items, stale, seen) else { return };
        if self.items.is_empty() {
            return self.begin_anew();
        }
        if let Some(timing) = &mut self.timing {
            timing.forget(left.seen_gone);
        }
        self.fills(left.weight);
    }

    /// What has expired since this was last called, in the order of its going.
    pub fn take_expired(&mut self) -> Vec<T> {
        self.expiry.as_mut().map_or_else(Vec::new, |expiry| mem::take(&mut expiry.expired))
    }
}
