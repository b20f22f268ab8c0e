//! Draining: stop intake, deliver what was accepted, report.

use std::error::Error;
use std::fmt;
use std::ops::Add;
use std::time::{Duration, Instant};

use backpressure_core::{Drained, DropReason};
use tokio::sync::oneshot;

use crate::careful::{discard, guarded};
use crate::hooks::OnDrop;

/// What a [drain](crate::BackpressureController::drain) came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report hands back what was not delivered"]
pub struct DrainReport<T> {
    /// Items delivered since the drain began.
    pub delivered: u64,
    /// Items that failed for good since the drain began.
    pub failed: u64,
    /// What was accepted and not delivered by the deadline, oldest first. If several drains were asked for, the first
    /// gets them.
    pub abandoned: Vec<T>,
    /// Items that were in a flush that had not answered by the deadline, and of which no copy was kept. Whether they
    /// arrived is not known.
    pub unanswered: usize,
    /// Items that were accepted, have neither been delivered nor failed, and are not handed back here: another report or
    /// the `on_drop` hook got them, or the runtime of the worker ended before the drain did. In that case those that were in
    /// flight are among them, and whether they arrived is not known.
    pub lost: u64,
    /// Flushes that went on when the drain returned although they had been told to stop, for they block their thread.
    pub still_running: usize,
    /// How long the drain took.
    pub elapsed: Duration,
}

impl<T> DrainReport<T> {
    /// Whether everything accepted was delivered or has failed by the deadline, and no flush goes on.
    pub fn is_complete(&self) -> bool {
        self.abandoned.is_empty() && self.unanswered == 0 && self.lost == 0 && self.still_running == 0
    }

    pub(crate) const fn nothing_left() -> Self {
        Self {
            delivered: 0,
            failed: 0,
            abandoned: Vec::new(),
            unanswered: 0,
            lost: 0,
            still_running: 0,
            elapsed: Duration::ZERO,
        }
    }
}

impl<T> Drained for DrainReport<T> {
    fn is_complete(&self) -> bool {
        self.is_complete()
    }
}

/// How many items were delivered, failed and abandoned since the drain began. What is not known to have arrived counts as abandoned.
impl<T> fmt::Display for DrainReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abandoned = (self.abandoned.len() + self.unanswered) as u64 + self.lost;
        write!(f, "{} delivered while draining, {} failed, {abandoned} abandoned", self.delivered, self.failed)?;
        match self.still_running {
            0 => Ok(()),
            flushes => write!(f, ", {flushes} flushes still running"),
        }
    }
}

/// What a controller left undone when its worker ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ending {
    /// Items that were handed back, to a report or to the hook, or that ended with the runtime.
    pub(crate) lost: u64,
    /// Items in flushes that had not answered, and of which no copy was kept.
    pub(crate) unanswered: usize,
    /// Flushes that could not be stopped.
    pub(crate) still_running: usize,
}

impl Ending {
    /// What is said to somebody who asks after the end.
    pub(crate) fn report<T>(self) -> DrainReport<T> {
        let Self { lost, unanswered, still_running } = self;
        DrainReport { lost, unanswered, still_running, ..DrainReport::nothing_left() }
    }

    /// The runtime has ended: what was in flight is not waited for by anybody any more, and the ledger calls it lost, too.
    pub(crate) const fn with_the_runtime(self) -> Self {
        Self { lost: self.undelivered(), unanswered: 0, ..self }
    }

    pub(crate) const fn undelivered(self) -> u64 {
        self.lost + self.unanswered as u64
    }
}

impl Add for Ending {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            unanswered: self.unanswered + other.unanswered,
            still_running: self.still_running + other.still_running,
        }
    }
}

/// Not everything that was accepted before a [flush](crate::BackpressureController::flush) was delivered or has failed: the
/// worker ended before that, because a drain ran into its deadline or the runtime ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unflushed {
    /// How many items the worker left undelivered when it ended, whenever they were accepted.
    pub items: u64,
}

impl fmt::Display for Unflushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = if self.items == 1 { "item" } else { "items" };
        write!(f, "the controller ended with {} accepted {items} undelivered", self.items)
    }
}

impl Error for Unflushed {}

/// Gives each item to the hook, or drops it.
pub(crate) fn lose<T>(items: impl IntoIterator<Item = T>, reason: DropReason, on_drop: &Option<OnDrop<T>>) {
    let Some(on_drop) = on_drop else { return discard(items) };
    for item in items {
        guarded(|| on_drop(item, reason));
    }
}

/// A report on its way to who asked for it. If nobody opens it, what it hands back goes to the hook.
pub(crate) struct Parcel<T> {
    report: DrainReport<T>,
    on_drop: Option<OnDrop<T>>,
}

impl<T> Parcel<T> {
    pub(crate) fn open(mut self) -> DrainReport<T> {
        std::mem::replace(&mut self.report, DrainReport::nothing_left())
    }
}

impl<T> Drop for Parcel<T> {
    fn drop(&mut self) {
        lose(self.report.abandoned.drain(..), DropReason::DrainDeadline, &self.on_drop);
        discard(self.on_drop.take());
    }
}

/// Those who wait for the drain.
pub(crate) struct Drains<T> {
    waiting: Vec<Drain<T>>,
    /// The earliest deadline anybody set, even if who did has left.
    deadline: Option<Instant>,
}

struct Drain<T> {
    began: Instant,
    delivered: u64,
    failed: u64,
    done: oneshot::Sender<Parcel<T>>,
}

/// Items delivered and failed so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
}

impl<T> Drains<T> {
    pub(crate) const fn new() -> Self {
        Self { waiting: Vec::new(), deadline: None }
    }

    pub(crate) fn add(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
        totals: Totals,
        done: oneshot::Sender<Parcel<T>>,
    ) {
        self.deadline = [self.deadline, deadline].into_iter().flatten().min();
        if self.waiting.len() == self.waiting.capacity() {
            // Those who left are not kept: a drain that is given up again and again costs a constant.
            self.waiting.retain(|drain| !drain.done.is_closed());
        }
        self.waiting.push(Drain { began: now, delivered: totals.delivered, failed: totals.failed, done });
    }

    /// The earliest deadline anybody set.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Everything is over: hands the report to all who wait, and what was abandoned to the first of them that is still
    /// there, or else to the hook.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        totals: Totals,
        abandoned: Vec<T>,
        ending: Ending,
        on_drop: &Option<OnDrop<T>>,
    ) {
        let parcel = |report| Parcel { report, on_drop: on_drop.clone() };
        let mut left = parcel(DrainReport { abandoned, ..DrainReport::nothing_left() });
        for drain in self.waiting.drain(..) {
            let abandoned = left.open().abandoned;
            let report = DrainReport {
                delivered: totals.delivered - drain.delivered,
                failed: totals.failed - drain.failed,
                lost: ending.lost - abandoned.len() as u64,
                abandoned,
                elapsed: now.saturating_duration_since(drain.began),
                ..ending.report()
            };
            left = match guarded(|| drain.done.send(parcel(report))) {
                Some(Err(unheard)) => unheard,
                Some(Ok(())) | None => parcel(DrainReport::nothing_left()),
            };
        }
    }
}
