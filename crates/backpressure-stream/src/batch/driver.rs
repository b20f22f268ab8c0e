//! The driver: from a source to batches, with as few clock reads as possible.

use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::BatchConfig;
use backpressure_rt::{ClockSampler, now};

use super::alarm::Alarm;
use super::gather::{Gather, Stop};
use crate::handle::{Learned, MicroBatchHandle};

/// Most items pulled in one poll that closes no batch.
const BUDGET: usize = 1024;

/// How late a look at the clock may be, unless items expire sooner.
const RESOLUTION: Duration = Duration::from_micros(250);

/// Most items without a look at the clock.
const MOST_UNSEEN: usize = 256;

/// Pulls what a source has ready into an accumulator, and hands out the batches.
///
/// While items keep coming the clock is read now and then, as [`ClockSampler`] says. Only when the source pauses with a batch open
/// is a timer armed for it, and it wakes nobody any more when the batch is gone.
#[derive(Debug)]
pub(crate) struct Driver<G> {
    pub(super) gather: G,
    /// Whether a pause closes every batch.
    eager: bool,
    sampler: ClockSampler,
    /// How late a look at the clock may be.
    resolution: Duration,
    alarm: Alarm,
    /// Where other configurations come from.
    pub(super) handle: Option<MicroBatchHandle>,
}

/// `config` with what is learned, and a linger of at least what a look at the clock can be late by, so that one look does not close a batch
/// that came in one go.
pub(super) fn in_force(config: BatchConfig, linger: Duration, max_items: usize) -> BatchConfig {
    let mut builder = BatchConfig::builder().max_items(max_items).linger(linger.max(RESOLUTION));
    if let Some(max_weight) = config.max_weight() {
        builder = builder.max_weight(max_weight);
    }
    if let Some(quiet) = config.quiet() {
        builder = builder.quiet(quiet);
    }
    builder.build().unwrap_or(config)
}

impl<G> Driver<G> {
    /// A driver whose batches linger for so long. With no linger at all a batch is what the source has ready in one go.
    pub(super) fn new(gather: G, linger: Duration) -> Self {
        Self {
            gather,
            eager: linger.is_zero(),
            sampler: ClockSampler::new(MOST_UNSEEN),
            resolution: RESOLUTION,
            alarm: Alarm::new(),
            handle: None,
        }
    }

    /// The handle, which begins with `config`, from the first call on.
    pub(super) fn handle_for(&mut self, config: BatchConfig, learned: Learned) -> MicroBatchHandle {
        self.handle.get_or_insert_with(|| MicroBatchHandle::new(config, learned)).clone()
    }

    /// Looks at the clock often enough for items that expire at this age.
    pub(super) fn refine(&mut self, max_age: Duration) {
        self.resolution = RESOLUTION.min(max_age / 64);
    }

    pub(super) fn set_linger(&mut self, linger: Duration) {
        self.eager = linger.is_zero();
        self.alarm.retire();
    }
}

impl<G: Gather> Driver<G> {
    /// Takes the configuration that was left, if there is one. A batch that is closed goes first.
    #[cold]
    #[inline(never)]
    pub(super) fn adopt(&mut self) {
        if self.gather.has_closed() {
            return;
        }
        let Some(config) = self.handle.as_ref().and_then(MicroBatchHandle::take) else { return };
        let linger = self.gather.reconfigure(config);
        self.set_linger(linger);
        if !self.gather.has_closed() && !self.gather.is_empty() {
            self.sample();
        }
    }

    /// The task waits for other configurations, too.
    fn wait(&self, cx: &Context<'_>) {
        if self.handle.as_ref().is_some_and(|handle| !handle.wait(cx.waker())) {
            cx.waker().wake_by_ref();
        }
    }

    /// Nobody is woken for a batch that is gone.
    pub(super) fn disarm_if_empty(&mut self) {
        if self.gather.is_empty() {
            self.alarm.disarm();
        }
    }

    /// The next batch, or `None` if there is nothing left. A source that has ended is none.
    #[inline]
    pub(crate) fn poll_next<const ATTENTIVE: bool>(
        &mut self,
        cx: &mut Context<'_>,
        source: Option<impl FnMut(&mut Context<'_>) -> Poll<Option<G::Item>>>,
    ) -> Poll<Option<G::Batch>> {
        if self.alarm.has_rung() {
            self.ring();
        }
        if self.gather.has_closed() {
            return self.hand_over();
        }
        let Some(mut source) = source else { return self.end() };
        let mut budget = BUDGET;
        loop {
            let (items, filled) = self.gather.fill::<ATTENTIVE>(self.sampler.left().min(budget), || match source(cx) {
                Poll::Ready(Some(item)) => Ok(item),
                Poll::Ready(None) => Err(Stop::End),
                Poll::Pending => Err(Stop::Pause),
            });
            self.sampler.count(items);
            if let Err(stop) = filled {
                return self.stop(cx, stop);
            }
            if self.sampler.is_due() {
                self.sample();
            }
            if self.gather.has_closed() {
                return self.hand_over();
            }
            budget -= items;
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// The source has nothing ready.
    #[inline]
    fn stop(&mut self, cx: &mut Context<'_>, stop: Stop) -> Poll<Option<G::Batch>> {
        match stop {
            // While the alarm is set a batch is open, and not one that is eager to go.
            Stop::Pause if self.alarm.will_wake(cx) && !self.gather.is_unseen() && self.sampler.left() > 1 => {
                self.sampler.count(1);
                Poll::Pending
            }
            Stop::Pause => self.pause(cx),
            Stop::End => self.end(),
        }
    }

    /// Unless a batch is due, sees to it that the task is woken when one is, or for another configuration.
    #[cold]
    #[inline(never)]
    fn pause(&mut self, cx: &mut Context<'_>) -> Poll<Option<G::Batch>> {
        let polled = self.poll_open(cx);
        if polled.is_pending() {
            self.wait(cx);
        }
        polled
    }

    /// The open batch, if it is due. Else the task is woken when it is.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<G::Batch>> {
        if self.gather.is_empty() {
            return Poll::Pending;
        }
        // A pause is worth an item: a source that is restless is not to outrun the deadline either.
        self.sampler.count(1);
        if self.eager {
            self.gather.cut();
        }
        if self.sampler.is_due() || (!self.eager && self.gather.is_unseen()) {
            self.sample();
        }
        let deadline = if self.gather.has_closed() { None } else { self.gather.poll_timeout() };
        if deadline.is_some_and(|deadline| self.alarm.poll(cx, deadline).is_ready()) {
            self.sample();
            if !self.gather.has_closed() && !self.gather.is_empty() {
                cx.waker().wake_by_ref();
            }
        }
        if self.gather.has_closed() { self.hand_over() } else { Poll::Pending }
    }

    /// The source has ended.
    #[cold]
    #[inline(never)]
    fn end(&mut self) -> Poll<Option<G::Batch>> {
        self.gather.cut();
        self.alarm.retire();
        self.hand_over()
    }

    /// The timer has fired.
    #[cold]
    #[inline(never)]
    fn ring(&mut self) {
        self.alarm.acknowledge();
        self.sample();
    }

    #[cold]
    #[inline(never)]
    pub(super) fn sample(&mut self) {
        let now = now();
        self.sampler.sampled(now, self.resolution);
        self.gather.observe(now);
    }

    /// The consumer goes to work: the timer is no longer needed, and the clock sees what stays behind.
    #[cold]
    #[inline(never)]
    fn hand_over(&mut self) -> Poll<Option<G::Batch>> {
        let batch = self.gather.closed();
        self.alarm.disarm();
        if !self.gather.is_empty() && self.gather.is_unseen() {
            self.sample();
        }
        Poll::Ready(batch)
    }
}
