//! Other bounds and another strategy for a channel that is in use.

use std::fmt;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{BackpressureConfig, ConfigError, Gauge, Moved, Strategy, TimedCapacity};
use backpressure_rt::sync::Arc;
use backpressure_rt::{Relay, now, wake_all};

use crate::looks::Looks;
use crate::shared::{After, Inner, Shared};

/// Changes a channel that is in use. Made by [`Sender::handle`](crate::Sender::handle) and
/// [`Receiver::handle`](crate::Receiver::handle); clone it freely.
///
/// It keeps the channel's memory, but neither end: the channel closes with its last sender and with its receiver, whatever
/// handles there are. On a closed channel a reconfiguration has no effect that anybody could see.
///
/// ```
/// use backpressure_channel::channel;
/// use backpressure_core::{BackpressureConfig, State};
///
/// let (tx, mut rx) = channel(BackpressureConfig::builder().capacity(2).build()?);
/// let handle = tx.handle();
/// assert!(tx.try_send(1).is_ok() && tx.try_send(2).is_ok());
/// assert!(tx.try_send(3).is_err());
///
/// handle.reconfigure(handle.config().to_builder().capacity(10).build()?)?;
/// assert!(tx.try_send(3).is_ok());
///
/// handle.reconfigure(handle.config().to_builder().capacity(1).build()?)?;
/// assert_eq!((handle.gauge().state(), handle.gauge().utilization()), (State::Blocked, 3.0));
/// assert_eq!(rx.try_recv(), Some(1)); // nothing is lost by it
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
pub struct ChannelHandle<T> {
    shared: Arc<Shared<T>>,
}

impl<T> ChannelHandle<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Gives the channel the capacity, weight bound, watermarks, strategy and greatest age of `config`, all at once: they hold
    /// for every offer from the return of this call on, and the gauge shows them.
    ///
    /// * A larger bound wakes as many waiting producers as now fit.
    /// * A smaller one evicts nothing. While more is held than it allows nothing is admitted, and the state is
    ///   [`Blocked`](backpressure_core::State::Blocked); under a strategy that evicts, the next offer makes all the room that
    ///   the new bound asks for.
    /// * Producers that wait go on waiting, in their order and for as long as they would have, under
    ///   [`Strategy::Block`]. Under any other strategy all of them are woken, and when they are polled their items are
    ///   offered again under it; so are items that became too heavy ever to be admitted.
    /// * Permits, and slots that sinks hold, stay good for their items.
    ///
    /// # Errors
    ///
    /// `max_weight` or `max_age` set where the channel was built without, or the other way round: whether items are weighed, and
    /// whether they age, is decided when it is built. Nothing has changed then.
    pub fn reconfigure(&self, config: BackpressureConfig) -> Result<(), ConfigError> {
        self.shared.reconfigure(config)
    }

    /// The configuration that holds now.
    pub fn config(&self) -> BackpressureConfig {
        self.shared.config()
    }

    /// How full the channel is, and what has happened in it.
    pub fn gauge(&self) -> Gauge {
        self.shared.gauge.clone()
    }
}

impl<T> Clone for ChannelHandle<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for ChannelHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelHandle").field("config", &self.config()).finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    fn config(&self) -> BackpressureConfig {
        self.lock().config.as_ref().clone()
    }

    fn reconfigure(&self, config: BackpressureConfig) -> Result<(), ConfigError> {
        let mut config = Box::new(config);
        let mut guard = self.lock();
        guard.recall();
        let Inner { buffer, recorder, timed, .. } = &mut *guard;
        let succeeding = TimedCapacity::succeeding(timed.as_deref(), &mut config);
        buffer.reconfigure(&config)?;
        *timed = succeeding;
        let changed = self.rules.replace(&config, &self.hooks, || recorder.reconfigured(buffer, &config));
        let has_another_age = guard.config.max_age() != config.max_age();
        if let Some(clock) = guard.clock.as_mut().filter(|_| has_another_age) {
            **clock = Looks::new(config.max_age());
        }
        let replaced = std::mem::replace(&mut guard.config, config);
        let dismissed = guard.dismiss();
        let after = guard.settle(Moved::NOTHING).with_change(changed);
        drop(guard);
        drop(replaced);
        let mut relay = Relay::new();
        relay.call(|| wake_all(dismissed));
        relay.call(|| self.carry_out(after));
        relay.resume();
        Ok(())
    }
}

impl<T> Inner<T> {
    /// Whether a producer that wants room for this weight is made to wait for it.
    pub(crate) fn lets_wait(&self, weight: usize) -> bool {
        matches!(self.buffer.strategy(), Strategy::Block { .. }) && self.buffer.admits(weight)
    }

    /// [Settles](Self::settle) what the receiver took.
    #[inline]
    pub(crate) fn settle_taken(&mut self, items: usize, moved: Moved) -> After {
        if self.timed.is_some() { self.settle_timed(items, moved) } else { self.settle(moved) }
    }

    /// The same where the capacity may follow.
    #[inline(never)]
    fn settle_timed(&mut self, items: usize, moved: Moved) -> After {
        let queued = self.buffer.len();
        let is_due = self.timed.as_mut().is_some_and(|timed| timed.drained(items, queued));
        let changed = is_due && self.look_at_the_rate(now());
        self.settle(moved).with_change(changed)
    }

    /// Looks at the clock, where the capacity follows what is received. Answers whether the state changed.
    #[inline]
    pub(crate) fn look_at_the_rate(&mut self, now: Instant) -> bool {
        let queued = self.buffer.len();
        match self.timed.as_mut().and_then(|timed| timed.observe(now, queued)) {
            Some(items) => self.follow(items),
            None => false,
        }
    }

    #[inline(never)]
    fn follow(&mut self, items: usize) -> bool {
        *self.config = self.config.at_capacity(items);
        let Self { buffer, recorder, config, .. } = self;
        buffer.reconfigure(config).is_ok() && recorder.reconfigured(buffer, config)
    }

    /// Sends away all who wait and should not, and hands out their wakers.
    fn dismiss(&mut self) -> Vec<Waker> {
        let Self { buffer, waiters, .. } = self;
        let waits = matches!(buffer.strategy(), Strategy::Block { .. });
        waiters.dismiss(|weight| !waits || !buffer.admits(weight))
    }
}
