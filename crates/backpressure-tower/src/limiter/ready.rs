//! Slots of services that are ready and not yet called, and how they go back if they never are.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limiter;
use super::fate::Fate;
use super::permit::Permit;
use super::shared::Shared;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// How long a service that is not called keeps its slot from those that wait; at most twice as long.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// So many can be taken back at a time. The slots of more than that stay with their services.
const CELLS: usize = 64;

/// In a cell: it was there when somebody looked.
const SEEN: u64 = 1;

/// Who is ready and holds a slot. It costs those services a compare-and-swap each way, and no lock.
pub(super) struct Ready {
    /// In each the holder of a slot and whether it has been [`SEEN`], or 0. There are none where no service waits.
    cells: OnceLock<Box<[AtomicU64; CELLS]>>,
    holders: AtomicU64,
    /// 1 while an alarm is set.
    is_watched: AtomicU64,
    alarm: Mutex<Option<Alarm>>,
}

struct Alarm {
    rings: Instant,
    // Outside of the task's budget: it is no task that it wakes.
    sleep: Pin<Box<Unconstrained<Sleep>>>,
}

/// What the alarm wakes.
struct Watch(Weak<Shared>);

/// The slot of a service that is ready. It may be taken back once it has not been used for a second and others wait. Dropping it
/// gives it back.
pub(crate) struct Readiness {
    /// `None` once it is the call's.
    permit: Option<Permit>,
    holder: u64,
    /// `None` if there was no cell left: it cannot be taken back.
    cell: Option<usize>,
}

impl Ready {
    pub(super) fn new() -> Self {
        Self {
            cells: OnceLock::new(),
            holders: AtomicU64::new(0),
            is_watched: AtomicU64::new(0),
            alarm: Mutex::new(None),
        }
    }

    /// A cell for this holder, if there is one left.
    fn hold(&self, holder: u64) -> Option<usize> {
        let cells = self.cells.get()?;
        let order = (0..CELLS).map(|n| (holder as usize).wrapping_add(n) % CELLS);
        let take = |cell: &usize| {
            let (free, held) = (0, holder << 1);
            cells[*cell].load(Ordering::Relaxed) == free
                && cells[*cell].compare_exchange(free, held, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        order.into_iter().find(take)
    }

    fn is_held(&self, cell: usize, holder: u64) -> bool {
        self.cells.get().is_some_and(|cells| cells[cell].load(Ordering::Acquire) >> 1 == holder)
    }

    /// Empties the cell, unless the slot was taken back.
    fn let_go(&self, cell: usize, holder: u64) -> bool {
        let mine = |seen: u64| (seen >> 1 == holder).then_some(0);
        let cell = self.cells.get().map(|cells| &cells[cell]);
        cell.is_some_and(|cell| cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, mine).is_ok())
    }

    /// From here on those that are ready have been seen.
    fn see(&self) {
        for cell in self.cells.get().into_iter().flat_map(|cells| cells.iter()) {
            let seen = |held: u64| (held != 0).then_some(held | SEEN);
            let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, seen);
        }
    }

    /// Empties the cells of up to so many that have been seen before, and answers how many slots are to be given back for them.
    fn take_back(&self, most: usize) -> usize {
        let cells = self.cells.get().into_iter().flat_map(|cells| cells.iter());
        let is_idle = |cell: &&AtomicU64| {
            let idle = |held: u64| (held & SEEN != 0).then_some(0);
            cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, idle).is_ok()
        };
        cells.filter(is_idle).take(most).count()
    }
}

impl Limiter {
    /// From now on services hold slots here that can be taken back.
    pub(crate) fn hold_for_services(&self) {
        self.shared.ready.cells.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
    }

    /// A number for a service that holds slots, never 0.
    pub(crate) fn holder(&self) -> u64 {
        self.shared.ready.holders.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether a service that comes now need not wait for a slot.
    pub(crate) fn has_room(&self) -> bool {
        let seen = self.shared.signal.slots();
        !seen.has_waiters() && seen.in_flight() < seen.limit()
    }
}

impl Readiness {
    /// This slot is for the next call of the service with this number, which has no other.
    #[inline]
    pub(crate) fn new(permit: Permit, holder: u64) -> Self {
        let cell = permit.limiter().ready.hold(holder);
        Self { permit: Some(permit), holder, cell }
    }

    /// Whether the service still has its slot.
    pub(crate) fn is_held(&self) -> bool {
        let (Some(permit), Some(cell)) = (&self.permit, self.cell) else { return self.permit.is_some() };
        permit.limiter().ready.is_held(cell, self.holder)
    }

    /// The slot, for a call; `None` if it was taken back.
    #[inline]
    pub(crate) fn claim(mut self) -> Option<Permit> {
        self.take()
    }

    #[inline]
    fn take(&mut self) -> Option<Permit> {
        let permit = self.permit.take()?;
        if self.cell.is_none_or(|cell| permit.limiter().ready.let_go(cell, self.holder)) {
            return Some(permit);
        }
        permit.disown();
        None
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl Shared {
    /// Somebody waits who may wait for ever: sees to it that slots go back which are not used.
    pub(super) fn watch_the_ready(self: &Arc<Self>) {
        if self.ready.cells.get().is_some() && self.ready.is_watched.swap(1, Ordering::AcqRel) == 0 && self.set_alarm()
        {
            self.ready.see();
        }
    }

    /// Without a runtime nobody can be woken: then the slots stay where they are. So they do for good once a runtime turns out
    /// to have no timer, which it only tells by a panic.
    fn set_alarm(self: &Arc<Self>) -> bool {
        if Handle::try_current().is_err() {
            self.ready.is_watched.store(0, Ordering::Release);
            return false;
        }
        let set = || {
            let rings = Instant::now() + IDLE_FOR;
            let mut sleep = Box::pin(unconstrained(sleep_until(rings)));
            let waker = Waker::from(Arc::new(Watch(Arc::downgrade(self))));
            let _ = sleep.as_mut().poll(&mut Context::from_waker(&waker));
            Alarm { rings, sleep }
        };
        let alarm = catch_unwind(AssertUnwindSafe(set)).ok();
        let is_set = alarm.is_some();
        let old = std::mem::replace(&mut *lock(&self.ready.alarm), alarm);
        drop(old);
        is_set
    }

    fn alarm_rings(self: &Arc<Self>) {
        let Some(alarm) = lock(&self.ready.alarm).take() else { return };
        // Its runtime wakes whoever it leaves behind.
        let has_come = Instant::now() >= alarm.rings;
        drop(alarm.sleep);
        if has_come {
            for _ in 0..self.ready.take_back(self.waiting()) {
                self.depart(Fate::Cancelled, None, false);
            }
            self.ready.see();
        }
        // Whoever joins the queue after this finds no alarm; who has joined before is counted.
        self.ready.is_watched.swap(0, Ordering::AcqRel);
        if has_come && self.waiting() > 0 && self.ready.is_watched.swap(1, Ordering::AcqRel) == 0 {
            self.set_alarm();
        }
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        if let Some(limiter) = self.0.upgrade() {
            limiter.alarm_rings();
        }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready")
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("is_held", &self.is_held()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use backpressure_core::limit::Level;

    use super::*;

    fn ready(limiter: &Limiter) -> Readiness {
        Readiness::new(limiter.try_admit(Level::default()).unwrap(), limiter.holder())
    }

    #[test]
    fn c2_a_slot_is_the_call_s_or_taken_back_and_never_both() {
        let limiter = Limiter::fixed(3).unwrap();
        limiter.hold_for_services();
        let cells = &limiter.shared.ready;
        let (mut used, idle, dropped) = (ready(&limiter), ready(&limiter), ready(&limiter));
        cells.see();
        let again = used.take();
        assert!(again.is_some() && used.take().is_none());
        drop(dropped);
        let fresh = ready(&limiter);
        assert_eq!((limiter.in_flight(), cells.take_back(9)), (3, 1), "the one that was idle");
        limiter.shared.depart(Fate::Cancelled, None, false);
        assert!(!idle.is_held() && fresh.is_held());
        assert!(idle.claim().is_none());
        assert_eq!(limiter.in_flight(), 2);
        assert!(fresh.claim().is_some());
        drop(again);
        assert_eq!(limiter.in_flight(), 0);
    }

    #[test]
    fn s2_where_no_cell_is_left_a_slot_stays_with_its_service() {
        let limiter = Limiter::fixed(CELLS + 1).unwrap();
        limiter.hold_for_services();
        let held: Vec<_> = (0..=CELLS).map(|_| ready(&limiter)).collect();
        limiter.shared.ready.see();
        assert_eq!(limiter.shared.ready.take_back(usize::MAX), CELLS);
        assert_eq!(held.iter().filter(|readiness| readiness.is_held()).count(), 1);
        drop(held);
        assert_eq!(limiter.in_flight(), CELLS, "those that were taken back are given back by whoever took them");
    }

    #[test]
    fn c2_whoever_is_quicker_has_the_slot() {
        let limiter = Limiter::fixed(2).unwrap();
        limiter.hold_for_services();
        let mut taken = 0;
        for _ in 0..200 {
            let readiness = ready(&limiter);
            let cells = &limiter.shared.ready;
            let (claimed, back) = std::thread::scope(|scope| {
                let thread = scope.spawn(move || readiness.claim().is_some());
                cells.see();
                let back = cells.take_back(9);
                (thread.join().unwrap(), back)
            });
            assert_eq!(usize::from(claimed) + back, 1);
            (0..back).for_each(|_| limiter.shared.depart(Fate::Cancelled, None, false));
            taken += back;
            assert_eq!(limiter.in_flight(), 0);
        }
        assert!(taken <= 200);
    }
}
