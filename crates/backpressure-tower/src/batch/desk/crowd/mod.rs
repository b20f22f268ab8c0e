//! The desk, when many threads call at once: calls are left at the [doors](Doors) then.

use std::sync::Arc;
use std::task::Waker;

use backpressure_core::Moved;

use super::Desk;
use crate::batch::doors::Doors;
use crate::batch::lanes::Ticket;
use crate::batch::page::CALLS;
use crate::batch::shared::Shared;

/// Whether calls lie outside, and whether they should.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Whether any door may be open, or have calls at it.
    is_outside: bool,
    /// For how many more sleeps of the worker a crowd is to be expected.
    expected: u32,
    /// Whether calls that were fetched have changed the state, and nobody has been told.
    changed: bool,
}

/// For so many sleeps of the worker a crowd is expected after somebody had to wait for the desk.
const MEMORY: u32 = 64;

impl Crowd {
    #[inline]
    pub(super) const fn is_expected(&self) -> bool {
        self.expected > 0
    }

    /// Whether a change of the state has to be told.
    pub(super) const fn has_changed(&self) -> bool {
        self.changed
    }

    #[inline]
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    #[inline]
    pub(super) fn note_change(&mut self, has_changed: bool) {
        self.changed = has_changed;
    }

    /// The worker goes to sleep.
    pub(super) fn pass(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// Somebody had to wait for the desk.
    pub(in crate::batch) fn expect_crowd(&mut self) {
        self.crowd.expected = MEMORY;
    }

    /// Fetches the calls that lie outside.
    #[inline]
    pub(in crate::batch) fn look_outside(&mut self, doors: &Doors<Req, Resp, E>) {
        if self.crowd.is_outside {
            self.fetch(doors, false);
        }
    }

    /// The same, for the worker, which has its turn when its thread has nothing else to do: what lies at the door of that thread is
    /// all that is to be expected there at a time.
    pub(in crate::batch) fn look_around(&mut self, shared: &Arc<Shared<Req, Resp, E>>) {
        if self.crowd.is_outside {
            if shared.doors.mine().is_some_and(|door| self.look_at(door, &shared.doors)) {
                self.open_door(shared);
            }
            self.fetch(&shared.doors, false);
        }
    }

    /// Fetches the calls that lie outside, and no more may be left there.
    pub(super) fn shut_doors(&mut self, doors: &Doors<Req, Resp, E>) {
        if self.crowd.is_outside {
            self.fetch(doors, true);
            self.crowd.is_outside = false;
        }
    }

    /// The thread of a door comes to the desk: fetches the calls that lie there. Whether there are any.
    pub(super) fn look_at(&mut self, door: usize, doors: &Doors<Req, Resp, E>) -> bool {
        let before = self.queued;
        doors.empty_one(door, |key, calls| self.absorb(key, calls));
        self.count_since(before)
    }

    #[inline(never)]
    fn fetch(&mut self, doors: &Doors<Req, Resp, E>, shut: bool) {
        let before = self.queued;
        doors.empty(shut, |key, calls| self.absorb(key, calls));
        self.count_since(before);
    }

    fn absorb(&mut self, key: usize, calls: &mut Vec<(Ticket<Req>, Waker)>) {
        self.queued += calls.len();
        self.inbox_weight += calls.iter().map(|(ticket, _)| ticket.weight as u128).sum::<u128>();
        self.pages.absorb(key, calls.drain(..));
    }

    /// Counts the calls that were fetched since so many were queued. Whether there are any.
    fn count_since(&mut self, before: usize) -> bool {
        let came = self.queued - before;
        if came > 0 {
            self.pending += came;
            for _ in 0..came {
                let pushed = self.queue.push(());
                debug_assert!(pushed.is_ok(), "each has a place");
            }
            let has_changed = self.publish(Moved::NOTHING);
            self.crowd.note_change(has_changed);
        }
        came > 0
    }

    /// Opens the door of this thread, if the worker is bound to come, for as many calls as do not change the state: near an
    /// edge everyone comes to the desk.
    pub(super) fn open_door(&mut self, shared: &Arc<Shared<Req, Resp, E>>) {
        let Some(door) = shared.doors.mine() else { return };
        let room = self.recorder.headroom(self.queue.held()) / shared.doors.len();
        if room > 0 && self.worker.is_none() && !self.is_ending() {
            let take_places = |places| self.places.try_take(places);
            shared.doors.open(door, room.min(CALLS), || self.pages.add_page(shared), take_places);
            self.crowd.is_outside = true;
        }
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests;
