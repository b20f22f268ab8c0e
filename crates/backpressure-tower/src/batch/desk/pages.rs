//! Calls by number: consecutive ones share a page, which is given up when all of them are over.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use crate::batch::lanes::Ticket;
use crate::batch::page::{CALLS, Numbered, Page, page_of};
use crate::batch::shared::Shared;

/// Calls from their arrival until they are [settled](Self::settle). Those that nobody has taken up yet are the inbox.
#[derive(Debug)]
pub(in crate::batch) struct Pages<Req, Resp, E> {
    leaves: Slab<Leaf<Req, Resp, E>>,
    /// The page of the next call.
    open: Option<usize>,
    /// Which calls may be in the inbox, in the order in which they came.
    inbox: VecDeque<Run>,
}

/// The calls of a page up to this one, without those that were taken.
#[derive(Debug, Clone, Copy)]
struct Run {
    key: usize,
    end: usize,
}

/// The desk's side of a page.
#[derive(Debug)]
struct Leaf<Req, Resp, E> {
    page: Arc<Page<Req, Resp, E>>,
    calls: Vec<Call<Req>>,
    /// From here on calls may be in the inbox.
    taken: usize,
    unsettled: usize,
    /// Whether more calls may come.
    open: bool,
}

#[derive(Debug)]
pub(super) struct Call<Req> {
    pub(super) stage: Stage<Req>,
    pub(super) waker: Option<Waker>,
}

#[derive(Debug)]
pub(super) enum Stage<Req> {
    /// In the inbox.
    Queued(Ticket<Req>),
    /// The engine has the request, and holds its place.
    Seen,
    /// In a batch that has left, its place free.
    Sent,
    /// The caller is gone; the engine does not know yet.
    Gone,
    Settled,
}

impl<Req, Resp, E> Pages<Req, Resp, E> {
    pub(super) const fn new() -> Self {
        Self { leaves: Slab::new(), open: None, inbox: VecDeque::new() }
    }

    /// A call arrives in the inbox.
    #[inline]
    pub(super) fn insert(
        &mut self,
        ticket: Ticket<Req>,
        waker: Waker,
        shared: &Arc<Shared<Req, Resp, E>>,
    ) -> (usize, Arc<Page<Req, Resp, E>>) {
        let key = self.open.unwrap_or_else(|| self.open_page(shared));
        let leaf = &mut self.leaves[key];
        leaf.arrive(ticket, waker);
        if !leaf.open {
            self.open = None;
        }
        let end = leaf.calls.len();
        match self.inbox.back_mut() {
            Some(run) if run.key == key => run.end = end,
            _ => self.inbox.push_back(Run { key, end }),
        }
        (key * CALLS + end - 1, Arc::clone(&leaf.page))
    }

    /// Calls arrive in the inbox that have places on this page already, the next ones.
    pub(super) fn absorb(&mut self, key: usize, calls: impl Iterator<Item = (Ticket<Req>, Waker)>) {
        let leaf = &mut self.leaves[key];
        calls.for_each(|(ticket, waker)| leaf.arrive(ticket, waker));
        self.inbox.push_back(Run { key, end: leaf.calls.len() });
    }

    #[inline(never)]
    fn open_page(&mut self, shared: &Arc<Shared<Req, Resp, E>>) -> usize {
        let (key, _) = self.add_page(shared);
        *self.open.insert(key)
    }

    /// An empty page, for calls that are to be [absorbed](Self::absorb).
    pub(super) fn add_page(&mut self, shared: &Arc<Shared<Req, Resp, E>>) -> Numbered<Req, Resp, E> {
        let page = Arc::new(Page::new(Arc::clone(shared)));
        let calls = Vec::with_capacity(CALLS);
        let leaf = Leaf { page: Arc::clone(&page), calls, taken: 0, unsettled: 0, open: true };
        (self.leaves.insert(leaf), page)
    }

    /// Takes calls out of the inbox as long as they fit, first come, first served. They have this stage from then on.
    #[inline]
    pub(super) fn take(
        &mut self,
        stage: fn() -> Stage<Req>,
        mut fits: impl FnMut(&Ticket<Req>) -> bool,
        mut taken: impl FnMut(&Arc<Page<Req, Resp, E>>, usize, Ticket<Req>),
    ) {
        while let Some(&Run { key, end }) = self.inbox.front() {
            let leaf = &mut self.leaves[key];
            for call in &mut leaf.calls[leaf.taken..end] {
                if matches!(&call.stage, Stage::Queued(ticket) if !fits(ticket)) {
                    return;
                }
                if let Stage::Queued(_) = call.stage {
                    if let Stage::Queued(ticket) = mem::replace(&mut call.stage, stage()) {
                        taken(&leaf.page, key * CALLS + leaf.taken, ticket);
                    }
                }
                leaf.taken += 1;
            }
            self.inbox.pop_front();
        }
    }

    /// A call that has not been settled.
    #[inline]
    pub(super) fn call(&mut self, call: usize) -> &mut Call<Req> {
        &mut self.leaves[page_of(call)].calls[call % CALLS]
    }

    /// The same, of this page, unless it has been settled: its number may have been given to another one since.
    #[inline]
    pub(super) fn find(&mut self, page: &Arc<Page<Req, Resp, E>>, call: usize) -> Option<&mut Call<Req>> {
        let leaf = self.leaves.get_mut(page_of(call)).filter(|leaf| Arc::ptr_eq(&leaf.page, page))?;
        leaf.calls.get_mut(call % CALLS).filter(|call| !matches!(call.stage, Stage::Settled))
    }

    /// Nobody needs to know of these calls any more. Hands out their wakers.
    pub(super) fn settle(&mut self, calls: &[usize], wakers: &mut Vec<Waker>) {
        let mut calls = calls.iter().copied().peekable();
        while let Some(first) = calls.next() {
            let key = page_of(first);
            let leaf = &mut self.leaves[key];
            leaf.page.landings.advance();
            let mut next = Some(first);
            while let Some(call) = next {
                let entry = &mut leaf.calls[call % CALLS];
                entry.stage = Stage::Settled;
                wakers.extend(entry.waker.take());
                leaf.unsettled -= 1;
                next = calls.next_if(|call| page_of(*call) == key);
            }
            if leaf.unsettled == 0 && !leaf.open {
                self.give_up(key);
            }
        }
    }

    #[inline(never)]
    fn give_up(&mut self, key: usize) {
        let leaf = self.leaves.remove(key);
        if leaf.taken < leaf.calls.len() {
            self.inbox.retain(|run| run.key != key);
        }
    }

    /// Looks at every page, with the number of its first call and all its calls.
    pub(super) fn for_each(&mut self, mut look: impl FnMut(&Page<Req, Resp, E>, usize, &mut [Call<Req>])) {
        self.leaves.iter_mut().for_each(|(key, leaf)| look(&leaf.page, key * CALLS, &mut leaf.calls));
    }

    /// No call arrives any more.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.leaves.iter_mut().for_each(|(_, leaf)| leaf.open = false);
        let settled = |(key, leaf): (usize, &Leaf<Req, Resp, E>)| (leaf.unsettled == 0).then_some(key);
        let settled: Vec<_> = self.leaves.iter().filter_map(settled).collect();
        settled.into_iter().for_each(|key| self.give_up(key));
    }
}

impl<Req, Resp, E> Leaf<Req, Resp, E> {
    #[inline]
    fn arrive(&mut self, ticket: Ticket<Req>, waker: Waker) {
        self.calls.push(Call { stage: Stage::Queued(ticket), waker: Some(waker) });
        self.unsettled += 1;
        self.open = self.calls.len() < CALLS;
    }
}
