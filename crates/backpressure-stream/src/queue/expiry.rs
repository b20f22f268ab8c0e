//! Items that expire before the consumer takes them.

use std::time::Instant;

use backpressure_core::{BoundedBuffer, DropReason, Moved};
use backpressure_rt::{CoarseClock, Relay};

use super::Queue;

impl<T> Queue<T> {
    /// Heeds the deadlines that items have from now on.
    pub(crate) fn expires_by<D: Into<Option<Instant>>>(&mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) {
        let bare = BoundedBuffer::new(&self.config);
        self.buffer = std::mem::replace(&mut self.buffer, bare).dated();
        (self.plain, self.lag) = (false, 0);
        self.clock = Some((CoarseClock::for_ages(self.config.max_age()), 0));
        self.hooks.expires_by(deadline);
    }

    /// Drops what has expired, if it is time to look at the clock: always before items come in that will count as having come
    /// then, and after so many have gone.
    pub(super) fn look(&mut self) {
        let Some((clock, left)) = &mut self.clock else { return };
        self.buffer.expire(clock.look(1 + clock.quota().saturating_sub(*left)));
        *left = if self.buffer.expires_within(clock.grain()) { 0 } else { clock.quota() };
        self.bury();
    }

    /// Takes the next item out that has not expired.
    #[inline(never)]
    pub(super) fn pop_unexpired(&mut self) -> Option<T> {
        match &mut self.clock {
            Some((_, left)) if *left > 0 && !self.buffer.is_dated() => *left -= 1,
            _ => self.look(),
        }
        loop {
            let item = self.buffer.pop();
            self.bury();
            if item.is_some() || self.heavy.is_none() {
                return item;
            }
            // All that it waited for has expired.
            self.offer_heavy();
        }
    }

    /// Counts what has expired, and gives it to the hook.
    pub(super) fn bury(&mut self) {
        let expired = self.buffer.take_expired();
        if !expired.is_empty() {
            let mut relay = Relay::new();
            relay.call(|| self.publish(Moved::NOTHING.beside_expired(expired.len())));
            relay.call(|| self.hooks.dispose(expired, DropReason::Expired));
            relay.resume();
        }
    }

    /// [Fills](Self::fill) where items expire: each has to be there before it counts as having come.
    #[inline(never)]
    pub(super) fn fill_looking(&mut self, most: usize, mut next: impl FnMut() -> Option<T>) {
        for _ in 0..most {
            if !self.has_weight() {
                break;
            }
            let Some(item) = next() else { break };
            match &mut self.clock {
                Some((_, left)) if *left > 0 => *left -= 1,
                _ => self.look(),
            }
            self.take_in(item);
        }
    }
}
