//! A source that does as it is told.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

/// More than this in one poll is more than a bounded amount of work.
pub(crate) const ENDLESS: u64 = 100_000;

/// The source of a stream under test: numbers from 1 on. Clones are ends of the same one.
#[derive(Debug)]
pub struct Upstream {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<u32>,
    next: u32,
    pulled: u64,
    ended: bool,
    told_end: bool,
    polled_after_end: bool,
    /// Polls that are answered Pending, with the waker woken.
    stutters: usize,
    endless: bool,
    /// How much time passes with each item of an endless source.
    pace: Duration,
    waker: Option<Waker>,
}

/// The tester's end.
#[derive(Debug)]
pub(crate) struct Source {
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source {
    pub(crate) fn new() -> (Self, Upstream) {
        let state = Arc::new(Mutex::new(State::default()));
        (Self { state: Arc::clone(&state) }, Upstream { state })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn push(&self, items: u32) {
        self.change(|state| {
            if !state.ended {
                state.items.extend(state.next + 1..=state.next + items);
                state.next += items;
            }
        });
    }

    pub(crate) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    pub(crate) fn stutter(&self, polls: usize) {
        lock(&self.state).stutters = polls;
    }

    /// Wakes for nothing.
    pub(crate) fn wake(&self) {
        self.change(|_| {});
    }

    /// Ready with an item from now on, whatever happens; so much time passes with each.
    pub(crate) fn flow(&self, pace: Duration) {
        self.change(|state| (state.endless, state.pace) = (true, pace));
    }

    /// The number of the last item that was given.
    pub(crate) fn last(&self) -> u32 {
        lock(&self.state).next
    }

    pub(crate) fn pulled(&self) -> u64 {
        lock(&self.state).pulled
    }

    pub(crate) fn was_polled_after_end(&self) -> bool {
        lock(&self.state).polled_after_end
    }

    /// Whether the stream under test still has its end.
    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }
}

impl Stream for Upstream {
    type Item = u32;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        let mut state = lock(&self.state);
        state.polled_after_end |= state.told_end;
        if state.stutters > 0 {
            state.stutters -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.endless {
            state.next += 1;
            state.pulled += 1;
            assert!(state.pulled <= ENDLESS, "it pulls without end in one poll");
            let (item, pace) = (state.next, state.pace);
            drop(state);
            if !pace.is_zero() {
                // The clock moves with the first poll.
                let _ = pin!(tokio::time::advance(pace)).poll(&mut Context::from_waker(Waker::noop()));
            }
            return Poll::Ready(Some(item));
        }
        if let Some(item) = state.items.pop_front() {
            state.pulled += 1;
            return Poll::Ready(Some(item));
        }
        if state.ended {
            state.told_end = true;
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let state = lock(&self.state);
        (state.items.len(), state.ended.then_some(state.items.len()))
    }
}
