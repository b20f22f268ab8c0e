//! The desk, for those who wait for an answer.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use backpressure_core::{DropReason, Moved};

use super::pages::Stage;
use super::{After, Desk, Phase, Remains};
use crate::batch::page::Page;
use crate::batch::pledge::{Address, Pledge};

/// How an attempt to wait for an answer went.
#[derive(Debug)]
pub(in crate::batch) enum Awaited {
    /// This waker will be woken. What it replaces is to be dropped outside the lock.
    Stored { pledge: Pledge, _replaced: Option<Waker> },
    /// Try again with a waker.
    NeedsWaker,
    /// The answer has come meanwhile. The waker is to be dropped outside the lock.
    Answered { _unused: Option<Waker> },
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// Waits for an answer that has not come, with the latest waker.
    #[inline]
    pub(in crate::batch) fn wait(
        &mut self,
        page: &Arc<Page<Req, Resp, E>>,
        call: usize,
        current: &Waker,
        latest: Option<Waker>,
    ) -> Awaited {
        let Some(entry) = self.pages.find(page, call) else { return Awaited::Answered { _unused: latest } };
        let stands = entry.waker.as_ref().is_some_and(|stored| stored.will_wake(current));
        let replaced = match (stands, latest) {
            (true, unused) => unused,
            (false, Some(latest)) => entry.waker.replace(latest),
            (false, None) => return Awaited::NeedsWaker,
        };
        Awaited::Stored { pledge: page.landings.pledge(Address::of(current)), _replaced: replaced }
    }

    /// Keeps the waker of a call, unless the answer has come: then hands it back.
    pub(in crate::batch) fn register(
        &mut self,
        page: &Arc<Page<Req, Resp, E>>,
        call: usize,
        waker: Waker,
    ) -> Option<Waker> {
        match self.pages.find(page, call) {
            Some(entry) => entry.waker.replace(waker),
            None => Some(waker),
        }
    }

    /// The caller is gone, before the answer has come.
    pub(in crate::batch) fn cancel(&mut self, call: usize) -> (After, Remains<Req>) {
        let entry = self.pages.call(call);
        let waker = entry.waker.take();
        let stage = mem::replace(&mut entry.stage, Stage::Gone);
        self.pending -= 1;
        let mut after = match &stage {
            Stage::Queued(ticket) => {
                self.inbox_weight -= ticket.weight as u128;
                self.queued -= 1;
                if self.queued == 0 {
                    self.since = None;
                }
                self.vacate(1, Moved::discarded(DropReason::Cancelled, 1))
            }
            Stage::Seen => self.vacate(1, Moved::discarded(DropReason::Cancelled, 1)),
            Stage::Sent | Stage::Gone | Stage::Settled => {
                self.reporter.lost(DropReason::Cancelled, 1);
                After::default()
            }
        };
        if matches!(stage, Stage::Queued(_)) || matches!(self.phase, Phase::Over(_)) {
            self.pages.settle(&[call], &mut Vec::new());
        } else {
            self.gone.push(call);
        }
        if !self.gone.is_empty() || (self.pending == 0 && self.is_ending()) {
            after.worker = self.worker.take();
        }
        self.rouse_drains(&mut after.others);
        (after, Remains { _stage: stage, _waker: waker })
    }
}
