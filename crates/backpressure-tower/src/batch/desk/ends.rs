//! The desk, for those who end it.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use backpressure_core::{DropReason, Moved};

use super::pages::Stage;
use super::{After, Desk, Phase, Remains};
use crate::batch::doors::Doors;
use crate::batch::error::BatchError;

/// How many calls were answered since the beginning, and how; and how many were given up.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::batch) struct Totals {
    pub(in crate::batch) answered: u64,
    pub(in crate::batch) failed: u64,
    pub(in crate::batch) abandoned: u64,
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// Takes nothing more in, and wakes everyone who hoped for that. The line stays: whoever comes is to be told.
    pub(in crate::batch) fn close(&mut self, doors: &Doors<Req, Resp, E>) -> After {
        if !matches!(self.phase, Phase::Open) {
            return After::default();
        }
        self.shut_doors(doors);
        self.phase = Phase::Draining;
        self.places.open_line();
        self.places.give_back(doors.fetch_places());
        After { changed: self.recorder.drain(), worker: self.worker.take(), others: self.waiters.wakers() }
    }

    /// Answers every call that still waits: with this error of the inner service, or that the batcher has shut down.
    pub(in crate::batch) fn end(
        &mut self,
        error: Option<Arc<E>>,
        reason: DropReason,
        doors: &Doors<Req, Resp, E>,
        remains: &mut Vec<Remains<Req>>,
    ) -> After {
        if let Phase::Over(_) = self.phase {
            return After::default();
        }
        let mut after = self.close(doors);
        doors.forget();
        let is_answered = error.is_some();
        let answer = || error.as_ref().map_or(BatchError::Closed, |error| BatchError::Unavailable(Arc::clone(error)));
        let (mut queued, mut sent, mut settled) = (0, 0, mem::take(&mut self.gone));
        let (inbox, inbox_weight) = (&mut self.queued, &mut self.inbox_weight);
        self.pages.for_each(|page, first, calls| {
            let mut seats = page.lock();
            for (call, entry) in (first..).zip(calls) {
                let is_over = matches!(entry.stage, Stage::Gone | Stage::Settled);
                if is_over || !seats.put(call, &mut Err(answer())) {
                    continue;
                }
                let stage = mem::replace(&mut entry.stage, Stage::Gone);
                if let Stage::Queued(ticket) = &stage {
                    *inbox -= 1;
                    *inbox_weight -= ticket.weight as u128;
                }
                *if let Stage::Sent = stage { &mut sent } else { &mut queued } += 1;
                settled.push(call);
                remains.push(Remains { _stage: stage, _waker: None });
            }
        });
        self.pages.settle(&settled, &mut after.others);
        self.pages.close();
        self.pending -= queued + sent;
        let vacated = self.vacate(queued, Moved::discarded(reason, queued));
        after.changed |= vacated.changed;
        after.others.extend(vacated.others);
        self.reporter.lost(reason, sent);
        *if is_answered { &mut self.totals.failed } else { &mut self.totals.abandoned } += (queued + sent) as u64;
        self.phase = Phase::Over(error);
        after.worker = after.worker.or_else(|| self.worker.take());
        self.rouse_drains(&mut after.others);
        after
    }

    pub(in crate::batch) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Joins those who wait until nobody waits for an answer.
    pub(in crate::batch) fn join_drain(&mut self) -> usize {
        self.drains.insert(None)
    }

    /// Whether nobody waits for an answer. If somebody does, keeps the waker and hands back what it replaces.
    pub(in crate::batch) fn is_drained(&mut self, key: usize, waker: Waker) -> (bool, Option<Waker>) {
        let replaced = self.drains[key].replace(waker);
        (self.pending == 0, replaced)
    }

    pub(in crate::batch) fn leave_drain(&mut self, key: usize) -> Option<Waker> {
        self.drains.remove(key)
    }

    /// Hands out the wakers of those who wait until nobody waits for an answer, if that is so.
    pub(super) fn rouse_drains(&mut self, wakers: &mut Vec<Waker>) {
        if self.pending == 0 && !self.drains.is_empty() {
            wakers.extend(self.drains.iter_mut().filter_map(|(_, waker)| waker.take()));
        }
    }
}
