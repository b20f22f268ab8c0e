//! The desk, when many threads call at once: calls are left at the [doors](Doors) then.

use std::sync::Arc;

use backpressure_core::Moved;

use super::Desk;
use crate::batch::doors::Doors;
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

    /// Fetches the calls that lie outside, and no more may be left there.
    pub(super) fn shut_doors(&mut self, doors: &Doors<Req, Resp, E>) {
        if self.crowd.is_outside {
            self.fetch(doors, true);
            self.crowd.is_outside = false;
        }
    }

    #[inline(never)]
    fn fetch(&mut self, doors: &Doors<Req, Resp, E>, shut: bool) {
        let before = self.queued;
        doors.empty(shut, |key, calls| {
            self.queued += calls.len();
            self.inbox_weight += calls.iter().map(|(ticket, _)| ticket.weight as u128).sum::<u128>();
            self.pages.absorb(key, calls.drain(..));
        });
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
