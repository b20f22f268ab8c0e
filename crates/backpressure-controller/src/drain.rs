//! Draining: stop intake, deliver what was accepted, report.

use std::time::{Duration, Instant};

use backpressure_core::DropReason;
use tokio::sync::oneshot;

use crate::attempt::guarded;
use crate::builder::OnDrop;

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
    /// How long the drain took.
    pub elapsed: Duration,
}

impl<T> DrainReport<T> {
    /// Whether everything accepted was delivered or has failed by the deadline.
    pub fn is_complete(&self) -> bool {
        self.abandoned.is_empty() && self.unanswered == 0
    }

    pub(crate) const fn nothing_left() -> Self {
        Self { delivered: 0, failed: 0, abandoned: Vec::new(), unanswered: 0, elapsed: Duration::ZERO }
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
        let items = self.report.abandoned.drain(..);
        if let Some(on_drop) = &self.on_drop {
            items.for_each(|item| {
                guarded(|| on_drop(item, DropReason::DrainDeadline));
            });
        }
    }
}

/// Those who wait for the drain.
pub(crate) struct Drains<T> {
    waiting: Vec<Drain<T>>,
}

struct Drain<T> {
    began: Instant,
    deadline: Option<Instant>,
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
        Self { waiting: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
        totals: Totals,
        done: oneshot::Sender<Parcel<T>>,
    ) {
        self.waiting.push(Drain { began: now, deadline, delivered: totals.delivered, failed: totals.failed, done });
    }

    /// The earliest deadline anybody set.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|drain| drain.deadline).min()
    }

    /// Everything is over: hands the report to all who wait, and what was abandoned to the first of them that is still
    /// there, or else to the hook.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        totals: Totals,
        abandoned: Vec<T>,
        unanswered: usize,
        on_drop: &Option<OnDrop<T>>,
    ) {
        let parcel = |report| Parcel { report, on_drop: on_drop.clone() };
        let mut left = parcel(DrainReport { abandoned, ..DrainReport::nothing_left() });
        for drain in self.waiting.drain(..) {
            let report = DrainReport {
                delivered: totals.delivered - drain.delivered,
                failed: totals.failed - drain.failed,
                abandoned: left.open().abandoned,
                unanswered,
                elapsed: now.saturating_duration_since(drain.began),
            };
            left = match drain.done.send(parcel(report)) {
                Ok(()) => parcel(DrainReport::nothing_left()),
                Err(unheard) => unheard,
            };
        }
    }
}
