//! From a source to batches, with the least possible business with time.

use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::BatchConfig;

use super::alarm::Alarm;
use super::gather::Gather;
use super::glance::Glance;
use crate::clock;

/// Most items pulled in one poll that closes no batch.
const BUDGET: u32 = 1024;

/// Pulls what a source has ready into an accumulator, and hands out the batches.
///
/// While items keep coming the clock is read now and then, as [`Glance`] says. Only when the source pauses with a batch open
/// is a timer armed for it, and it wakes nobody any more when the batch is gone.
#[derive(Debug)]
pub(crate) struct Driver<G> {
    pub(super) gather: G,
    /// Whether a pause closes every batch.
    eager: bool,
    glance: Glance,
    alarm: Alarm,
}

/// Why a source gives no item.
enum Stop {
    Pause,
    End,
}

/// `config` with another linger: at least what a look at the clock can be late by, so that one look does not close a batch
/// that came in one go.
pub(super) fn with_linger(config: BatchConfig, linger: Duration) -> BatchConfig {
    let mut builder = BatchConfig::builder().max_items(config.max_items()).linger(linger.max(Glance::RESOLUTION));
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
        Self { gather, eager: linger.is_zero(), glance: Glance::new(), alarm: Alarm::new() }
    }

    pub(super) fn set_linger(&mut self, linger: Duration) {
        self.eager = linger.is_zero();
    }
}

impl<G: Gather> Driver<G> {
    /// The next batch. `None` when the source has answered `None` and nothing is left.
    #[inline]
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        mut source: impl FnMut(&mut Context<'_>) -> Poll<Option<G::Item>>,
    ) -> Poll<Option<G::Batch>> {
        if self.alarm.has_rung() {
            self.look();
        }
        let mut closed = self.gather.closed();
        let mut budget = BUDGET;
        while closed.is_none() && budget > 0 {
            let mut stop = None;
            let added = self.gather.fill(self.glance.left().min(budget), || match source(cx) {
                Poll::Ready(Some(item)) => Some(item),
                Poll::Ready(None) => {
                    stop = Some(Stop::End);
                    None
                }
                Poll::Pending => {
                    stop = Some(Stop::Pause);
                    None
                }
            });
            self.glance.count(added);
            budget -= added;
            match stop {
                Some(Stop::Pause) => return self.pause(cx),
                Some(Stop::End) => {
                    self.gather.cut();
                    self.alarm.retire();
                    let last = self.gather.closed();
                    return self.hand_over(last);
                }
                None if self.glance.left() == 0 => self.look(),
                None => {}
            }
            closed = self.gather.closed();
        }
        if closed.is_some() {
            return self.hand_over(closed);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The source has nothing ready: unless a batch is due, sees to it that the task is woken when one is.
    #[inline]
    fn pause(&mut self, cx: &mut Context<'_>) -> Poll<Option<G::Batch>> {
        if self.gather.is_empty() {
            return Poll::Pending;
        }
        if self.eager {
            self.gather.cut();
        } else {
            self.glance.count(1);
            if self.gather.is_unseen() || self.glance.left() == 0 {
                self.look();
            } else if self.alarm.will_wake(cx) {
                return Poll::Pending;
            }
        }
        let mut closed = self.gather.closed();
        let deadline = if closed.is_none() { self.gather.poll_timeout() } else { None };
        if deadline.is_some_and(|deadline| self.alarm.poll(cx, deadline).is_ready()) {
            self.look();
            closed = self.gather.closed();
            if closed.is_none() {
                cx.waker().wake_by_ref();
            }
        }
        if closed.is_some() { self.hand_over(closed) } else { Poll::Pending }
    }

    #[inline(never)]
    fn look(&mut self) {
        let now = clock::now();
        self.glance.looked(now);
        self.gather.observe(now);
    }

    /// The consumer goes to work: the timer is no longer needed, and the clock sees what stays behind.
    #[inline]
    fn hand_over(&mut self, batch: Option<G::Batch>) -> Poll<Option<G::Batch>> {
        self.alarm.disarm();
        if !self.gather.is_empty() && self.gather.is_unseen() {
            self.look();
        }
        Poll::Ready(batch)
    }
}
