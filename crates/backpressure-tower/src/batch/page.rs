//! Where answers wait for their callers.

use std::fmt;
use std::sync::Arc;

use super::desk::Answer;
use super::error::BatchError;
use super::pledge::Landings;
use super::shared::Shared;
use crate::sync::{Mutex, MutexGuard, lock};

/// How many calls share a page, and with it an allocation.
pub(super) const CALLS: usize = if cfg!(backpressure_loom) { 2 } else { 64 };

/// A page, and the number it has as long as it has calls without an answer.
pub(super) type Numbered<Req, Resp, E> = (usize, Arc<Page<Req, Resp, E>>);

/// The number of a call's page.
pub(super) const fn page_of(call: usize) -> usize {
    call / CALLS
}

/// The seats of consecutive calls. Callers and whoever answers them meet here, two at a time, and not at the desk.
pub(super) struct Page<Req, Resp, E> {
    pub(super) shared: Arc<Shared<Req, Resp, E>>,
    /// Advanced under the lock of the desk.
    pub(super) landings: Landings,
    /// One for each call. In a box, so that none is ever on the stack, however large an answer may be.
    seats: Mutex<Box<[Seat<Resp, E>]>>,
}

pub(super) enum Seat<Resp, E> {
    Waiting,
    Answered(Answer<Resp, E>),
    /// The caller has its answer, or is gone.
    Left,
}

impl<Req, Resp, E> Page<Req, Resp, E> {
    pub(super) fn new(shared: Arc<Shared<Req, Resp, E>>) -> Self {
        let seats = (0..CALLS).map(|_| Seat::Waiting).collect();
        Self { shared, landings: Landings::new(), seats: Mutex::new(seats) }
    }

    /// For whoever has answers for some of its calls.
    pub(super) fn lock(&self) -> Seats<'_, Resp, E> {
        Seats(lock(&self.seats))
    }

    /// The answer, once.
    #[inline]
    pub(super) fn take(&self, call: usize) -> Option<Answer<Resp, E>> {
        let mut seats = lock(&self.seats);
        let seat = &mut seats[call % CALLS];
        if let Seat::Waiting = seat { None } else { std::mem::replace(seat, Seat::Left).answer() }
    }

    /// The caller goes, with the answer if there is one.
    pub(super) fn leave(&self, call: usize) -> Option<Answer<Resp, E>> {
        std::mem::replace(&mut lock(&self.seats)[call % CALLS], Seat::Left).answer()
    }
}

impl<Resp, E> Seat<Resp, E> {
    fn answer(self) -> Option<Answer<Resp, E>> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Waiting | Self::Left => None,
        }
    }
}

/// The seats of a page.
pub(super) struct Seats<'a, Resp, E>(MutexGuard<'a, Box<[Seat<Resp, E>]>>);

impl<Resp, E> Seats<'_, Resp, E> {
    /// Answers a call, unless that has been done, or its caller is gone. If so, the answer stays in its place, to be dropped
    /// outside the lock.
    #[inline]
    pub(super) fn put(&mut self, call: usize, answer: &mut Answer<Resp, E>) -> bool {
        let seat = &mut self.0[call % CALLS];
        let waits = matches!(seat, Seat::Waiting);
        if waits {
            *seat = Seat::Answered(std::mem::replace(answer, Err(BatchError::Closed)));
        }
        waits
    }
}

/// Pages by number, as far as they have been learned.
#[derive(Debug)]
pub(super) struct Directory<Req, Resp, E> {
    pages: Vec<Option<Arc<Page<Req, Resp, E>>>>,
}

impl<Req, Resp, E> Directory<Req, Resp, E> {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    /// These have their numbers from now on.
    pub(super) fn learn(&mut self, pages: impl Iterator<Item = Numbered<Req, Resp, E>>) {
        for (number, page) in pages {
            if number >= self.pages.len() {
                self.pages.resize(number + 1, None);
            }
            self.pages[number] = Some(page);
        }
    }

    pub(super) fn of(&self, call: usize) -> Option<&Page<Req, Resp, E>> {
        self.pages.get(page_of(call))?.as_deref()
    }

    /// None has a number any more.
    pub(super) fn forget(&mut self) {
        self.pages.clear();
    }
}

impl<Req, Resp, E> fmt::Debug for Page<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}
