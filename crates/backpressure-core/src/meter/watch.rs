//! Waiting for a change of state.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU64 as StdAtomicU64;
use std::task::{Context, Poll, Waker};

use super::gauge::Gauge;
use crate::lock::lock;
use crate::relay::wake_all;
use crate::state::State;
use crate::sync::{AtomicUsize, Mutex, Ordering, fence};

/// Tells watchers apart across all gauges.
static NEXT: StdAtomicU64 = StdAtomicU64::new(0);

/// Those who wait for one buffer's state to change.
pub(super) struct Watchers {
    count: AtomicUsize,
    wakers: Mutex<Vec<(u64, Waker)>>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(0), wakers: Mutex::new(Vec::new()) }
    }

    /// Keeps the latest waker of this watcher. The state must be looked at again afterwards.
    pub(super) fn register(&self, watcher: u64, waker: &Waker) {
        // Cloned before the lock and dropped after it: both call the waker's own code, which may come back here.
        let waker = waker.clone();
        let mut wakers = lock(&self.wakers);
        let replaced = match wakers.iter_mut().find(|(id, _)| *id == watcher) {
            Some((_, kept)) => Some(std::mem::replace(kept, waker)),
            None => {
                wakers.push((watcher, waker));
                None
            }
        };
        self.count.store(wakers.len(), Ordering::Relaxed);
        drop(wakers);
        drop(replaced);
        // Pairs with the fence in `notify`: either this watcher sees the new state, or the notifier sees this watcher.
        fence(Ordering::SeqCst);
    }

    pub(super) fn forget(&self, watcher: u64) {
        let mut wakers = lock(&self.wakers);
        let gone = wakers.iter().position(|(id, _)| *id == watcher).map(|found| wakers.swap_remove(found));
        self.count.store(wakers.len(), Ordering::Relaxed);
        drop(wakers);
        drop(gone);
    }

    pub(super) fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let woken = {
            let mut wakers = lock(&self.wakers);
            self.count.store(0, Ordering::Relaxed);
            std::mem::take(&mut *wakers)
        };
        wake_all(woken.into_iter().map(|(_, waker)| waker));
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").field("count", &self.count.load(Ordering::Relaxed)).finish()
    }
}

/// Resolves with the new state once it differs from the one it started from. Made by [`Gauge::changed`].
///
/// Cancel safe: it holds nothing but its place among the watchers. A state that changes and changes back before this is
/// polled is not reported.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Changed {
    gauge: Gauge,
    from: State,
    watcher: u64,
}

impl Changed {
    pub(super) fn new(gauge: Gauge, from: State) -> Self {
        Self { gauge, from, watcher: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) }
    }

    fn poll_change(&mut self, cx: &Context<'_>) -> Poll<State> {
        let mut state = self.gauge.state();
        if state == self.from {
            self.gauge.parts().for_each(|part| part.watchers.register(self.watcher, cx.waker()));
            state = self.gauge.state();
        }
        if state == self.from { Poll::Pending } else { Poll::Ready(state) }
    }
}

impl Future for Changed {
    type Output = State;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<State> {
        self.poll_change(cx)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        self.gauge.parts().for_each(|part| part.watchers.forget(self.watcher));
    }
}

/// The state now, then every change of it. Made by [`Gauge::watch`].
///
/// Changes that come faster than this is polled are merged: the latest state is yielded. Ends after `Draining`.
#[cfg(feature = "stream")]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Watch {
    next: Option<Changed>,
    seen: Option<State>,
    gauge: Gauge,
}

#[cfg(feature = "stream")]
impl Watch {
    pub(super) const fn new(gauge: Gauge) -> Self {
        Self { next: None, seen: None, gauge }
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for Watch {
    type Item = State;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<State>> {
        let this = &mut *self;
        let state = match this.seen {
            None => this.gauge.state(),
            Some(State::Draining) => return Poll::Ready(None),
            Some(seen) => {
                let next = this.next.get_or_insert_with(|| Changed::new(this.gauge.clone(), seen));
                std::task::ready!(next.poll_change(cx))
            }
        };
        this.next = None;
        this.seen = Some(state);
        Poll::Ready(Some(state))
    }
}
