//! The desk, for the worker.

use std::cell::Cell;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{DropReason, Moved};

use super::pages::Stage;
use super::{After, Desk, Phase};
use crate::batch::doors::Doors;
use crate::batch::lanes::Ticket;
use crate::batch::page::{Numbered, page_of};

/// From how many calls in the inbox on, or from how much weight, the worker wants to be woken.
#[derive(Debug, Clone, Copy)]
pub(in crate::batch) struct Appetite {
    pub(in crate::batch) calls: usize,
    pub(in crate::batch) weight: usize,
}

impl<Req, Resp, E> Default for News<Req, Resp, E> {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            pages: Vec::new(),
            since: None,
            gone: Vec::new(),
            queued: (0, 0),
            ending: false,
            idle: true,
            changed: false,
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
pub(in crate::batch) struct News<Req, Resp, E> {
    pub(in crate::batch) arrivals: Vec<(usize, Ticket<Req>)>,
    /// Where the arrivals are to be answered.
    pub(in crate::batch) pages: Vec<Numbered<Req, Resp, E>>,
    pub(in crate::batch) since: Option<Instant>,
    /// Numbers that are free again: what the worker knows by them is to be forgotten before the arrivals are looked at.
    pub(in crate::batch) gone: Vec<usize>,
    /// Calls that were left in the inbox, and their weight.
    pub(in crate::batch) queued: (usize, u128),
    /// Whether nothing follows.
    pub(in crate::batch) ending: bool,
    /// Whether nobody waits for anything.
    pub(in crate::batch) idle: bool,
    /// Whether the state has changed without anybody being told.
    pub(in crate::batch) changed: bool,
    /// Whether others came while a caller led. It stays until a batch has left.
    pub(in crate::batch) joined: bool,
}

/// What leaves straight from the inbox: calls, their requests, and where they are to be answered.
#[derive(Debug)]
pub(in crate::batch) struct Loaded<Req, Resp, E> {
    pub(in crate::batch) calls: Vec<usize>,
    pub(in crate::batch) requests: Vec<Req>,
    pub(in crate::batch) pages: Vec<Numbered<Req, Resp, E>>,
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// What has happened since the last time: calls are taken out of the inbox, if they are to be sorted. False if everything
    /// is over.
    pub(in crate::batch) fn news(&mut self, news: &mut News<Req, Resp, E>, sorted: bool) -> bool {
        if sorted {
            let (arrivals, pages) = (&mut news.arrivals, &mut news.pages);
            self.pages.take(
                || Stage::Seen,
                |_| true,
                |page, call, ticket| {
                    note(pages, page, page_of(call));
                    arrivals.push((call, ticket));
                },
            );
            (self.queued, self.inbox_weight) = (0, 0);
        }
        news.queued = (self.queued, self.inbox_weight);
        news.since = self.since.take();
        self.pages.settle(&self.gone, &mut Vec::new());
        news.gone.append(&mut self.gone);
        news.ending = self.is_ending();
        news.idle = self.pending == 0;
        news.joined |= mem::take(&mut self.turns.joined);
        news.changed = self.crowd.take_change();
        !matches!(self.phase, Phase::Over(_))
    }

    /// A batch leaves straight from the inbox: the first calls in it, as many as these bounds allow, but one if there is one.
    pub(in crate::batch) fn take(
        &mut self,
        max_items: usize,
        max_weight: Option<usize>,
        departure: &mut Loaded<Req, Resp, E>,
    ) -> After {
        let Loaded { calls, requests, pages } = departure;
        let count = self.queued.min(max_items);
        calls.reserve_exact(count);
        requests.reserve_exact(count);
        let room = Cell::new((count, max_weight.map_or(u128::MAX, |max| max as u128)));
        self.pages.take(
            || Stage::Sent,
            |ticket| {
                let (items, weight) = room.get();
                items > 0 && (items == count || ticket.weight as u128 <= weight)
            },
            |page, call, ticket| {
                let (items, weight) = room.get();
                room.set((items - 1, weight.saturating_sub(ticket.weight as u128)));
                self.inbox_weight -= ticket.weight as u128;
                note(pages, page, page_of(call));
                calls.push(call);
                requests.push(ticket.request);
            },
        );
        self.queued -= calls.len();
        self.vacate(calls.len(), Moved::taken(calls.len()))
    }

    /// Goes to sleep until there are news, unless there are some already: then the waker stays where it is.
    ///
    /// With `leave`, a caller that comes alone need not wake it.
    pub(in crate::batch) fn park(
        &mut self,
        appetite: Appetite,
        leave: bool,
        ending: bool,
        doors: &Doors<Req, Resp, E>,
        waker: &mut Option<Waker>,
    ) -> bool {
        self.shut_doors(doors);
        let has_news = self.queued >= appetite.calls
            || self.inbox_weight >= appetite.weight as u128
            || !self.gone.is_empty()
            || self.crowd.has_changed()
            || self.is_ending() != ending
            || (ending && self.pending == 0)
            || matches!(self.phase, Phase::Over(_));
        if !has_news {
            self.appetite = appetite;
            self.crowd.pass();
            self.turns.is_free = leave;
            mem::swap(&mut self.worker, waker);
        }
        !has_news
    }

    /// A batch leaves. Those whose callers are gone stay: their positions are noted.
    pub(in crate::batch) fn depart(&mut self, calls: &[usize], gone: &mut Vec<usize>) -> After {
        let mut sent = 0;
        for (position, &call) in calls.iter().enumerate() {
            let stage = &mut self.pages.call(call).stage;
            if let Stage::Seen = stage {
                *stage = Stage::Sent;
                sent += 1;
            } else {
                gone.push(position);
            }
        }
        self.vacate(sent, Moved::taken(sent))
    }

    /// Answers have come in and lie at their places: for calls that were sent or, with a reason, for calls that were not. So
    /// many are errors. Whom to wake is added to `wakers`. Returns whether the state changed.
    pub(in crate::batch) fn land(
        &mut self,
        calls: &[usize],
        failed: usize,
        unsent: Option<DropReason>,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        self.pages.settle(calls, wakers);
        let delivered = calls.len() - failed;
        self.pending -= calls.len();
        self.totals.answered += delivered as u64;
        self.totals.failed += failed as u64;
        let mut changed = false;
        if let Some(reason) = unsent {
            let vacated = self.vacate(calls.len(), Moved::discarded(reason, calls.len()));
            changed = vacated.changed;
            wakers.extend(vacated.others);
        } else {
            self.reporter.delivered(delivered);
            if failed > 0 {
                self.reporter.lost(DropReason::Failed, failed);
            }
        }
        self.rouse_drains(wakers);
        changed
    }
}

/// Notes the page of a call, if it is another one than the last.
#[inline]
fn note<P>(pages: &mut Vec<(usize, Arc<P>)>, page: &Arc<P>, key: usize) {
    if pages.last().is_none_or(|(last, _)| *last != key) {
        pages.push((key, Arc::clone(page)));
    }
}
