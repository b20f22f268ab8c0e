//! The desk, for handles: who gets a place for a call.

use std::task::Waker;

use backpressure_core::Moved;

use super::{After, Desk, Phase};
use crate::batch::doors::Doors;
use crate::batch::error::BatchError;

/// How an attempt to get a place went.
#[derive(Debug)]
pub(in crate::batch) enum Reserved<E> {
    Ready,
    /// Try again with a waker.
    NeedsWaker,
    /// In line under this key, and what is to be dropped outside the lock.
    Waiting {
        key: usize,
        _replaced: Option<Waker>,
    },
    Refused(BatchError<E>),
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// The last handle goes: nothing follows.
    pub(in crate::batch) fn abandon(&mut self) -> After {
        self.is_abandoned = true;
        After { worker: self.worker.take(), ..After::default() }
    }

    /// Reserves a place, at once or as one of those in line. `key` is that of an earlier attempt.
    pub(in crate::batch) fn reserve(
        &mut self,
        key: Option<usize>,
        waker: Option<Waker>,
        current: &Waker,
        doors: &Doors<Req, Resp, E>,
    ) -> Reserved<E> {
        if let Some(refusal) = self.refusal() {
            return Reserved::Refused(refusal);
        }
        match (key, waker) {
            (Some(key), _) if self.waiters.has_place(key) => {
                self.waiters.leave(key);
                Reserved::Ready
            }
            (Some(key), None) if self.waiters.has_waker(key, current) => Reserved::Waiting { key, _replaced: None },
            (Some(key), Some(waker)) => Reserved::Waiting { key, _replaced: self.waiters.refresh(key, waker) },
            (None, Some(waker)) => self.stand_in_line(waker, doors),
            (_, None) => Reserved::NeedsWaker,
        }
    }

    fn stand_in_line(&mut self, waker: Waker, doors: &Doors<Req, Resp, E>) -> Reserved<E> {
        self.places.open_line();
        if self.waiters.is_empty() {
            self.places.give_back(doors.fetch_places());
            if self.places.take_in_line() {
                self.places.close_line();
                return Reserved::Ready;
            }
        }
        Reserved::Waiting { key: self.waiters.join(waker), _replaced: None }
    }

    /// Leaves the line. A place already given goes to the next.
    pub(in crate::batch) fn leave(&mut self, key: usize) -> (After, Option<Waker>) {
        let (has_place, waker) = self.waiters.leave(key);
        self.places.give_back(usize::from(has_place));
        (self.serve(Moved::NOTHING), waker)
    }

    /// Serves those in line while there is room, and publishes the books.
    pub(in crate::batch) fn serve(&mut self, moved: Moved) -> After {
        let mut others = Vec::new();
        while !self.waiters.is_empty() && self.places.take_in_line() {
            others.extend(self.waiters.serve());
        }
        if self.waiters.is_empty() && matches!(self.phase, Phase::Open) {
            self.places.close_line();
        }
        After { changed: self.publish(moved), worker: None, others }
    }
}
