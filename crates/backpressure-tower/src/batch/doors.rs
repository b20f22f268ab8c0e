//! Where calls are left when many threads call at once, so that they do not all stand at the desk.

use std::sync::Arc;
use std::task::Waker;

use backpressure_core::thread_number;

use super::lanes::Ticket;
use super::page::{CALLS, Numbered, Page};
use super::pledge::{Address, Pledge};
use crate::sync::{AtomicUsize, Mutex, Ordering, Padded, lock};

/// A door for each of a few threads, which the worker empties.
///
/// A door is opened for a number of calls when its thread found others at the desk, and while the worker is bound to come:
/// whoever opens the desk empties the doors first, so what was left there counts as having come before. Before the
/// worker goes to sleep it shuts them.
#[derive(Debug)]
pub(super) struct Doors<Req, Resp, E> {
    doors: Box<[Padded<Door<Req, Resp, E>>]>,
}

#[derive(Debug)]
struct Door<Req, Resp, E> {
    /// How many calls lie here. Written under the lock of the mat.
    lying: AtomicUsize,
    /// How many more may be left. Written under the lock of the mat, and raised under that of the desk only.
    room: AtomicUsize,
    /// Places that have been taken for whoever comes.
    places: AtomicUsize,
    /// How often it was emptied. Written under the lock of the mat.
    emptied: AtomicUsize,
    mat: Mutex<Mat<Req, Resp, E>>,
}

#[derive(Debug)]
struct Mat<Req, Resp, E> {
    /// The page of the calls that are left here, its number, and how many calls it has, with those that were fetched.
    page: Option<Arc<Page<Req, Resp, E>>>,
    key: usize,
    used: usize,
    /// How many calls are worth a batch of their own.
    quota: usize,
    calls: Vec<(Ticket<Req>, Waker)>,
}

/// A door is opened for at least so many calls, if there is room.
const LEAST: usize = if CALLS < 8 { CALLS } else { 8 };

/// Where and when a handle left its last call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    door: usize,
    emptied: usize,
}

/// A call that was left at a door.
#[derive(Debug)]
pub(super) struct Left<Req, Resp, E> {
    pub(super) page: Arc<Page<Req, Resp, E>>,
    pub(super) call: usize,
    pub(super) pledge: Pledge,
    /// Whether no more can be left.
    pub(super) is_last: bool,
}

impl<Req, Resp, E> Doors<Req, Resp, E> {
    pub(super) fn new(doors: usize) -> Self {
        Self { doors: (0..doors).map(|_| Padded::default()).collect() }
    }

    pub(super) const fn len(&self) -> usize {
        self.doors.len()
    }

    /// The door of this thread.
    #[inline]
    pub(super) fn mine(&self) -> Option<usize> {
        thread_number().checked_rem(self.doors.len())
    }

    /// Takes one of the places that were taken for those who come to this door.
    #[inline]
    pub(super) fn try_take_place(&self, door: usize) -> bool {
        let places = &self.doors[door].0.places;
        let taken = |places: usize| places.checked_sub(1);
        places.load(Ordering::Relaxed) > 0 && places.fetch_update(Ordering::AcqRel, Ordering::Relaxed, taken).is_ok()
    }

    /// Fetches the places that nobody came for.
    pub(super) fn fetch_places(&self) -> usize {
        self.doors.iter().map(|Padded(door)| door.places.swap(0, Ordering::AcqRel)).sum()
    }

    /// Whether a handle may leave a call at this door: if that is open, and if no earlier call of the handle lies at another one.
    #[inline]
    pub(super) fn is_open(&self, door: usize, trace: Option<Trace>) -> bool {
        let may_lie = |trace: Trace| {
            trace.door != door && self.doors[trace.door].0.emptied.load(Ordering::Acquire) == trace.emptied
        };
        self.doors[door].0.room.load(Ordering::Relaxed) > 0 && !trace.is_some_and(may_lie)
    }

    /// Leaves a call at this door, unless that has been shut.
    #[inline]
    pub(super) fn leave(
        &self,
        number: usize,
        trace: &mut Option<Trace>,
        ticket: Ticket<Req>,
        waker: Waker,
    ) -> Result<Left<Req, Resp, E>, (Ticket<Req>, Waker)> {
        let door = &self.doors[number].0;
        let mut mat = lock(&door.mat);
        let Some(room) = door.room.load(Ordering::Relaxed).checked_sub(1) else { return Err((ticket, waker)) };
        let Some(page) = mat.page.clone() else { return Err((ticket, waker)) };
        let call = mat.key * CALLS + mat.used;
        let pledge = page.landings.pledge(Address::of(&waker));
        mat.used += 1;
        mat.calls.push((ticket, waker));
        door.lying.store(mat.calls.len(), Ordering::Release);
        door.room.store(room, Ordering::Release);
        *trace = Some(Trace { door: number, emptied: door.emptied.load(Ordering::Relaxed) });
        Ok(Left { page, call, pledge, is_last: room == 0 })
    }

    /// Whether the page of a door has no room.
    pub(super) fn is_full(&self, door: usize) -> bool {
        lock(&self.doors[door].0.mat).used == CALLS
    }

    /// Opens a door for so many calls in all, but for no more than its quota or than its page has room for. `page` makes a page
    /// if there is none with room, `place` takes places for those who come.
    pub(super) fn open(
        &self,
        door: usize,
        room: usize,
        page: impl FnOnce() -> Numbered<Req, Resp, E>,
        place: impl FnOnce(usize) -> bool,
    ) {
        let door = &self.doors[door].0;
        let mut mat = lock(&door.mat);
        if mat.page.is_none() || mat.used == CALLS {
            if !mat.calls.is_empty() {
                return;
            }
            let (key, page) = page();
            (mat.key, mat.page, mat.used) = (key, Some(page), 0);
        }
        let room = room.saturating_sub(mat.calls.len()).min(CALLS - mat.used).min(mat.quota);
        door.room.store(room, Ordering::Relaxed);
        let wanted = room.saturating_sub(door.places.load(Ordering::Relaxed));
        if wanted > 0 && place(wanted) {
            door.places.fetch_add(wanted, Ordering::AcqRel);
        }
    }

    /// Fetches what was left: `fetched` gets the number of the page, and the calls on it. With `shut`, no more can be left.
    ///
    /// Only under the lock of the desk. Where there is no room, none will come up meanwhile; whoever took the last of it, or left
    /// anything before, is seen.
    pub(super) fn empty(&self, shut: bool, mut fetched: impl FnMut(usize, &mut Vec<(Ticket<Req>, Waker)>)) {
        for Padded(door) in &self.doors {
            let is_shut = door.room.load(Ordering::Acquire) == 0;
            if door.lying.load(Ordering::Acquire) == 0 && (is_shut || !shut) {
                continue;
            }
            let mut mat = lock(&door.mat);
            if shut {
                door.room.store(0, Ordering::Relaxed);
            }
            door.hand_out(&mut mat, &mut fetched);
        }
    }

    /// The same at one door, whose thread has come: so many calls are worth a batch of their own from now on. One bad time
    /// does not count for much.
    ///
    /// Only under the lock of the desk.
    pub(super) fn empty_one(&self, door: usize, fetched: impl FnOnce(usize, &mut Vec<(Ticket<Req>, Waker)>)) {
        let door = &self.doors[door].0;
        if door.lying.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut mat = lock(&door.mat);
        mat.quota = mat.calls.len().max(mat.quota - mat.quota / 4).clamp(LEAST, CALLS);
        door.hand_out(&mut mat, fetched);
    }

    /// Forgets the pages: nobody will come any more.
    pub(super) fn forget(&self) {
        self.doors.iter().for_each(|Padded(door)| lock(&door.mat).page = None);
    }
}

impl<Req, Resp, E> Door<Req, Resp, E> {
    /// Under the lock of the mat.
    fn hand_out(&self, mat: &mut Mat<Req, Resp, E>, fetched: impl FnOnce(usize, &mut Vec<(Ticket<Req>, Waker)>)) {
        if !mat.calls.is_empty() {
            fetched(mat.key, &mut mat.calls);
            self.lying.store(0, Ordering::Relaxed);
            let emptied = self.emptied.load(Ordering::Relaxed).wrapping_add(1);
            self.emptied.store(emptied, Ordering::Release);
        }
    }
}

impl<Req, Resp, E> Default for Door<Req, Resp, E> {
    fn default() -> Self {
        let mat = Mat { page: None, key: 0, used: 0, quota: CALLS, calls: Vec::new() };
        Self {
            lying: AtomicUsize::new(0),
            room: AtomicUsize::new(0),
            places: AtomicUsize::new(0),
            emptied: AtomicUsize::new(0),
            mat: Mutex::new(mat),
        }
    }
}
