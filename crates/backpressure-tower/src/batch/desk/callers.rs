//! The desk, for those who wait for an answer.

use std::mem;
use std::task::Waker;

use backpressure_core::{DropReason, Moved};

use super::{After, Answer, Desk, Remains, Stage};
use crate::batch::error::BatchError;

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// The answer, which ends the call; or whether this waker is the one that will be woken.
    #[inline]
    pub(in crate::batch) fn answer(&mut self, call: usize, waker: &Waker) -> Result<Answer<Resp, E>, bool> {
        let entry = &mut self.calls[call];
        if !matches!(entry.stage, Stage::Done(_)) {
            return Err(entry.waker.as_ref().is_some_and(|stored| stored.will_wake(waker)));
        }
        match self.calls.remove(call).stage {
            Stage::Done(answer) => Ok(answer),
            Stage::Queued(_) | Stage::Seen | Stage::Sent | Stage::Gone => Ok(Err(BatchError::Closed)),
        }
    }

    /// Keeps the latest waker of a call that has no answer yet, and hands back the one that is not needed.
    #[inline]
    pub(in crate::batch) fn register(&mut self, call: usize, waker: Waker) -> Option<Waker> {
        let entry = &mut self.calls[call];
        if let Stage::Done(_) = entry.stage { Some(waker) } else { entry.waker.replace(waker) }
    }

    /// The caller is gone.
    pub(in crate::batch) fn cancel(&mut self, call: usize) -> (After, Remains<Req, Resp, E>) {
        let entry = &mut self.calls[call];
        let waker = entry.waker.take();
        let stage = mem::replace(&mut entry.stage, Stage::Gone);
        if let Stage::Done(_) = &stage {
            self.calls.remove(call);
            return (After::default(), Remains { _stage: stage, _waker: waker });
        }
        self.pending -= 1;
        let mut after = match &stage {
            Stage::Queued(ticket) => {
                self.inbox_weight -= ticket.weight as u128;
                self.inbox.remove(call);
                if self.inbox.len() == 0 {
                    self.since = None;
                }
                self.calls.remove(call);
                self.vacate(1, Moved::discarded(DropReason::Closed, 1))
            }
            Stage::Seen => {
                self.gone.push(call);
                self.vacate(1, Moved::discarded(DropReason::Closed, 1))
            }
            Stage::Sent | Stage::Done(_) | Stage::Gone => {
                self.gone.push(call);
                self.reporter.lost(DropReason::Closed, 1);
                After::default()
            }
        };
        if !self.gone.is_empty() || (self.pending == 0 && self.is_ending()) {
            after.worker = self.worker.take();
        }
        self.rouse_drains(&mut after.others);
        (after, Remains { _stage: stage, _waker: waker })
    }
}
