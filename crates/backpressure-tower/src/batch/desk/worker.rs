//! The desk, for the worker.

use std::mem;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{DropReason, Moved};

use super::{After, Answer, Desk, Phase, Stage};
use crate::batch::error::BatchError;
use crate::batch::lanes::Ticket;

/// From how many calls in the inbox on, or from how much weight, the worker wants to be woken.
#[derive(Debug, Clone, Copy)]
pub(in crate::batch) struct Appetite {
    pub(in crate::batch) calls: usize,
    pub(in crate::batch) weight: usize,
}

impl<Req> Default for News<Req> {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            since: None,
            gone: Vec::new(),
            queued: (0, 0),
            ending: false,
            idle: true,
            joined: false,
        }
    }
}

impl Appetite {
    /// For nothing.
    pub(in crate::batch) const NONE: Self = Self { calls: usize::MAX, weight: usize::MAX };
    /// For anything.
    pub(in crate::batch) const ANY: Self = Self { calls: 1, weight: 1 };
}

/// What the worker learns.
#[derive(Debug)]
pub(in crate::batch) struct News<Req> {
    pub(in crate::batch) arrivals: Vec<(usize, Ticket<Req>)>,
    pub(in crate::batch) since: Option<Instant>,
    /// Numbers that are free again: what the worker knows by them is to be forgotten before the arrivals are looked at.
    pub(in crate::batch) gone: Vec<usize>,
    /// Calls that were left in the inbox, and their weight.
    pub(in crate::batch) queued: (usize, u128),
    /// Whether nothing follows.
    pub(in crate::batch) ending: bool,
    /// Whether nobody waits for anything.
    pub(in crate::batch) idle: bool,
    /// Whether others came while a caller led. It stays until a batch has left.
    pub(in crate::batch) joined: bool,
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// What has happened since the last time: calls are taken out of the inbox, if they are to be sorted. False if everything
    /// is over.
    pub(in crate::batch) fn news(&mut self, news: &mut News<Req>, sorted: bool) -> bool {
        if sorted {
            while let Some(call) = self.inbox.pop() {
                let entry = &mut self.calls[call];
                if let Stage::Queued(ticket) = mem::replace(&mut entry.stage, Stage::Seen) {
                    news.arrivals.push((call, ticket));
                }
            }
            self.inbox_weight = 0;
        }
        news.queued = (self.inbox.len(), self.inbox_weight);
        news.since = self.since.take();
        for &call in &self.gone {
            self.calls.remove(call);
        }
        news.gone.append(&mut self.gone);
        news.ending = self.is_ending();
        news.idle = self.pending == 0;
        news.joined |= mem::take(&mut self.turns.joined);
        !matches!(self.phase, Phase::Over(_))
    }

    /// A batch leaves straight from the inbox: the first calls in it, as many as these bounds allow, but one if there is one.
    pub(in crate::batch) fn take(
        &mut self,
        max_items: usize,
        max_weight: Option<usize>,
        departure: &mut (Vec<usize>, Vec<Req>),
    ) -> After {
        let (calls, requests) = departure;
        let count = self.inbox.len().min(max_items);
        calls.reserve_exact(count);
        requests.reserve_exact(count);
        let mut room = max_weight.map_or(u128::MAX, |max| max as u128);
        while let Some(call) = self.inbox.first().filter(|_| calls.len() < max_items) {
            let entry = &mut self.calls[call];
            match mem::replace(&mut entry.stage, Stage::Sent) {
                Stage::Queued(ticket) if calls.is_empty() || ticket.weight as u128 <= room => {
                    self.inbox.remove(call);
                    self.inbox_weight -= ticket.weight as u128;
                    room = room.saturating_sub(ticket.weight as u128);
                    calls.push(call);
                    requests.push(ticket.request);
                }
                stage => {
                    entry.stage = stage;
                    break;
                }
            }
        }
        let sent = calls.len();
        self.vacate(sent, Moved::taken(sent))
    }

    /// Goes to sleep until there are news, unless there are some already: then the waker stays where it is.
    ///
    /// With `leave`, a caller that comes alone need not wake it.
    pub(in crate::batch) fn park(
        &mut self,
        appetite: Appetite,
        leave: bool,
        ending: bool,
        waker: &mut Option<Waker>,
    ) -> bool {
        let has_news = self.inbox.len() >= appetite.calls
            || self.inbox_weight >= appetite.weight as u128
            || !self.gone.is_empty()
            || self.is_ending() != ending
            || (ending && self.pending == 0)
            || matches!(self.phase, Phase::Over(_));
        if !has_news {
            self.appetite = appetite;
            self.turns.is_free = leave;
            mem::swap(&mut self.worker, waker);
        }
        !has_news
    }

    /// A batch leaves. Those whose callers are gone stay: their positions are noted.
    pub(in crate::batch) fn depart(&mut self, calls: &[usize], gone: &mut Vec<usize>) -> After {
        let mut sent = 0;
        for (position, &call) in calls.iter().enumerate() {
            let stage = &mut self.calls[call].stage;
            if let Stage::Seen = stage {
                *stage = Stage::Sent;
                sent += 1;
            } else {
                gone.push(position);
            }
        }
        self.vacate(sent, Moved::taken(sent))
    }

    /// Answers come in: for calls that were sent or, with a reason, for calls that were not. Those that nobody waits for are
    /// left in `answers`; whom to wake is added to `wakers`. Returns whether the state changed.
    pub(in crate::batch) fn land(
        &mut self,
        answers: &mut [(usize, Answer<Resp, E>)],
        unsent: Option<DropReason>,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        let (mut delivered, mut failed, mut changed) = (0, 0, false);
        for (call, answer) in answers {
            let entry = &mut self.calls[*call];
            if let Stage::Gone | Stage::Done(_) = entry.stage {
                continue;
            }
            let answer = mem::replace(answer, Err(BatchError::Closed));
            *if answer.is_ok() { &mut delivered } else { &mut failed } += 1;
            entry.stage = Stage::Done(answer);
            wakers.extend(entry.waker.take());
            if let Some(reason) = unsent {
                let vacated = self.vacate(1, Moved::discarded(reason, 1));
                changed |= vacated.changed;
                wakers.extend(vacated.others);
            }
        }
        self.pending -= delivered + failed;
        self.totals.answered += delivered as u64;
        self.totals.failed += failed as u64;
        if unsent.is_none() {
            self.reporter.delivered(delivered);
            if failed > 0 {
                self.reporter.lost(DropReason::Failed, failed);
            }
        }
        self.rouse_drains(wakers);
        changed
    }
}
