//! Slots of services that are ready and not yet called, and how they go back if they never are.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::fence;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use backpressure_rt::sync::Ordering;
use backpressure_rt::{Relay, lock};
use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

use super::cells::Alarm;
use super::fate::Fate;
use super::permit::Permit;
use super::shared::Shared;

/// How long a service that is not called keeps its slot from those that wait; at most twice as long.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// What the alarm wakes.
struct Watch(Weak<Shared>);

/// The slot of a service that is ready. It may be taken back once it has not been used for a second and others wait, and when
/// the limiter drains. Dropping it gives it back.
pub(crate) struct Readiness {
    /// `None` once it is the call's.
    permit: Option<Permit>,
    holder: u64,
    cell: usize,
}

impl Readiness {
    /// This slot is for the next call of the service with this number, which has no other. `None`, and the slot goes back, if the
    /// limiter drains, or if there is no cell left: then it could not be taken back.
    #[inline]
    pub(crate) fn new(permit: Permit, holder: u64) -> Option<Self> {
        let cell = permit.limiter().ready.hold(holder)?;
        let readiness = Self { permit: Some(permit), holder, cell };
        // SeqCst: pairs with the fence in `take_back_the_ready`. Either the drain is seen here, or whoever drains sees the cell.
        fence(Ordering::SeqCst);
        let drains = readiness.permit.as_ref().is_some_and(|permit| permit.limiter().signal.slots().is_draining());
        (!drains).then_some(readiness)
    }

    /// Whether the service still has its slot.
    pub(crate) fn is_held(&self) -> bool {
        self.permit.as_ref().is_some_and(|permit| permit.limiter().ready.is_held(self.cell, self.holder))
    }

    /// The slot, for a call; `None` if it was taken back.
    #[inline]
    pub(crate) fn claim(mut self) -> Option<Permit> {
        self.take()
    }

    #[inline]
    fn take(&mut self) -> Option<Permit> {
        let permit = self.permit.take()?;
        if permit.limiter().ready.let_go(self.cell, self.holder) {
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
        if !self.ready.is_enabled() || self.ready.is_watched.load(Ordering::Relaxed) != 0 {
            return;
        }
        // AcqRel: pairs with the swap to 0 of an alarm that has rung; whoever sets the next one sees what that took back.
        if self.ready.is_watched.swap(1, Ordering::AcqRel) == 0 && self.set_alarm() {
            self.see_the_ready();
        }
    }

    /// From here on those have been seen that are ready, or were served a slot and do not know it yet.
    fn see_the_ready(&self) {
        self.ready.see();
        self.seats.see(self.seats_in_use());
    }

    fn seats_in_use(&self) -> u32 {
        lock(&self.queue).seats()
    }

    /// Without a runtime nobody can be woken: then the slots stay where they are. So they do for good once a runtime turns out
    /// to have no timer, which it only tells by a panic.
    fn set_alarm(self: &Arc<Self>) -> bool {
        if Handle::try_current().is_err() {
            // Release: pairs with the swap in `watch_the_ready`.
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

    /// The limiter drains: a service that has not called yet is not waited for.
    pub(super) fn take_back_the_ready(&self, relay: &mut Relay) {
        if !self.ready.is_enabled() {
            return;
        }
        // SeqCst: pairs with the fence in `Readiness::new`. Either the cell is seen here, or the drain there.
        fence(Ordering::SeqCst);
        let slots = self.ready.take_all() + self.seats.take_all(self.seats_in_use());
        for _ in 0..slots {
            relay.call(|| self.depart(Fate::Cancelled, None, false, 0));
        }
    }

    fn alarm_rings(self: &Arc<Self>) {
        let Some(alarm) = lock(&self.ready.alarm).take() else { return };
        // Its runtime wakes whoever it leaves behind.
        let has_come = Instant::now() >= alarm.rings;
        drop(alarm.sleep);
        let mut relay = Relay::new();
        if has_come {
            let wanted = self.waiting();
            let ready = self.ready.take_back(wanted);
            let served = self.seats.take_back(self.seats_in_use(), wanted - ready);
            for _ in 0..ready + served {
                relay.call(|| self.depart(Fate::Cancelled, None, false, 0));
            }
            self.see_the_ready();
        }
        // Whoever joins the queue after this finds no alarm; who has joined before is counted.
        // AcqRel: pairs with the swap to 1, before which `waiting` is read again.
        self.ready.is_watched.swap(0, Ordering::AcqRel);
        // AcqRel: as in `watch_the_ready`.
        if has_come && self.waiting() > 0 && self.ready.is_watched.swap(1, Ordering::AcqRel) == 0 {
            self.set_alarm();
        }
        if !has_come {
            // Those who wait in another runtime set it again.
            let wakers = lock(&self.queue).wakers();
            wakers.into_iter().for_each(|waker| relay.call(|| waker.wake()));
        }
        relay.resume();
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        if let Some(limiter) = self.0.upgrade() {
            limiter.alarm_rings();
        }
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

    use super::super::Limiter;
    use super::super::cells::CELLS;
    use super::*;

    fn ready(limiter: &Limiter) -> Readiness {
        Readiness::new(limiter.try_admit(Level::default()).unwrap(), limiter.holder()).unwrap()
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
        limiter.shared.depart(Fate::Cancelled, None, false, 0);
        assert!(!idle.is_held() && fresh.is_held());
        assert!(idle.claim().is_none());
        assert_eq!(limiter.in_flight(), 2);
        assert!(fresh.claim().is_some());
        drop(again);
        assert_eq!(limiter.in_flight(), 0);
    }

    #[test]
    fn s2_where_no_cell_is_left_no_slot_is_held() {
        let limiter = Limiter::fixed(CELLS + 1).unwrap();
        limiter.hold_for_services();
        let held: Vec<_> = (0..CELLS).map(|_| ready(&limiter)).collect();
        let permit = limiter.try_admit(Level::default()).unwrap();
        assert!(Readiness::new(permit, limiter.holder()).is_none());
        assert_eq!(limiter.in_flight(), CELLS);
        drop(held);
        assert_eq!(limiter.in_flight(), 0);
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
            (0..back).for_each(|_| limiter.shared.depart(Fate::Cancelled, None, false, 0));
            taken += back;
            assert_eq!(limiter.in_flight(), 0);
        }
        assert!(taken <= 200);
    }
}
