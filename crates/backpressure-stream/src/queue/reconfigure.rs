//! Other bounds and another strategy while the queue is in use.

use std::task::Waker;

use backpressure_core::{BackpressureConfig, BufferHandle, Moved, TimedCapacity};
use backpressure_rt::{CoarseClock, Relay, now};

use super::{Queue, burst};

impl<T> Queue<T> {
    /// Takes the configuration that was left, if there is one.
    #[inline]
    pub(crate) fn adopt(&mut self) {
        if self.adapts {
            self.adopt_news();
        }
    }

    #[inline(never)]
    fn adopt_news(&mut self) {
        if let Some(config) = self.handle.as_ref().and_then(BufferHandle::take) {
            self.reconfigure(config);
        }
    }

    pub(super) fn reconfigure(&mut self, mut config: BackpressureConfig) {
        self.timed = TimedCapacity::succeeding(self.timed.as_deref(), &mut config);
        self.apply(config);
    }

    /// An item was taken; the capacity may follow.
    #[inline(never)]
    pub(super) fn drained(&mut self) {
        let queued = self.buffer.len();
        let Some(timed) = &mut self.timed else { return };
        if !timed.drained(1, queued) {
            return;
        }
        if let Some(items) = timed.observe(now(), queued) {
            self.apply(self.config.at_capacity(items));
        }
    }

    #[inline(never)]
    pub(super) fn apply(&mut self, config: BackpressureConfig) {
        if self.buffer.reconfigure(&config).is_err() {
            return;
        }
        self.lossy = config.strategy().is_lossy();
        self.burst = burst(&config);
        self.max_weight = config.max_weight().unwrap_or(usize::MAX);
        if self.config.max_age() != config.max_age() {
            self.clock = config.max_age().map(|age| (CoarseClock::for_ages(Some(age)), 0));
        }
        let in_turn = !self.hooks.is_ranking() && !self.hooks.is_fair();
        self.plain = !self.lossy && config.max_weight().is_none() && in_turn && self.clock.is_none();
        self.config = config;
        let changed = self.recorder.reconfigured(&self.buffer, &self.config);
        let mut relay = Relay::new();
        if changed {
            relay.call(|| self.reporter.notify());
        }
        relay.call(|| {
            self.offer_heavy();
            self.recorder.stall(self.heavy.is_some());
            self.publish(Moved::NOTHING);
        });
        relay.resume();
    }

    /// The consumer is going to wait. `false` if there is something to [adopt](Self::adopt).
    pub(crate) fn waits(&self, waker: &Waker) -> bool {
        self.handle.as_ref().is_none_or(|handle| handle.wait(waker))
    }
}
