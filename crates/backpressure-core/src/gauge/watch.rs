//! Waiting for a change of state.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use super::gauge::Gauge;
use crate::state::State;

/// Tells watchers apart across all gauges.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Gauge {
    /// Waits until the state differs from what it is now. Cancel safe.
    pub fn changed(&self) -> Changed {
        self.changed_from(self.state())
    }

    /// Waits until the state differs from `state`, at once if it already does: nothing is missed between two calls when
    /// each continues from the state the last one answered. Cancel safe.
    pub fn changed_from(&self, state: State) -> Changed {
        Changed::new(self.clone(), state)
    }

    /// The state now, then every change of it, as a stream that ends after `Draining`.
    #[cfg(feature = "stream")]
    pub fn watch(&self) -> Watch {
        Watch::new(self.clone())
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
    fn new(gauge: Gauge, from: State) -> Self {
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
    const fn new(gauge: Gauge) -> Self {
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
