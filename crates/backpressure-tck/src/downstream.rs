//! A sink that does as it is told, and notes what is done to it.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_sink::Sink;

/// The inner sink of a sink under test.
#[derive(Debug)]
pub struct Downstream {
    state: Arc<Mutex<State>>,
}

/// The error of a [`Downstream`] that was told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the inner part fails, as told")
    }
}

impl Error for Failed {}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// How many more items it takes; `None` for any number.
    room: Option<usize>,
    /// Whether flushes and closes are held up.
    held_up: bool,
    /// Fails at the item of this place, counted from now.
    fails_in: Option<usize>,
    ready: bool,
    pub(crate) items: Vec<u32>,
    pub(crate) flushed: usize,
    pub(crate) closes: usize,
    pub(crate) failures: usize,
    pub(crate) unready_sends: usize,
    pub(crate) after_close: usize,
    wakers: Vec<Waker>,
}

/// The tester's end.
#[derive(Debug)]
pub(crate) struct Drain {
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drain {
    pub(crate) fn new() -> (Self, Downstream) {
        let state = Arc::new(Mutex::new(State { room: Some(0), ..State::default() }));
        (Self { state: Arc::clone(&state) }, Downstream { state })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn room(&self, items: usize) {
        self.change(|state| state.room = state.room.map(|room| room + items));
    }

    pub(crate) fn hold_up(&self, held_up: bool) {
        self.change(|state| state.held_up = held_up);
    }

    pub(crate) fn open(&self) {
        self.change(|state| (state.room, state.held_up) = (None, false));
    }

    pub(crate) fn fail_in(&self, items: usize) {
        self.change(|state| {
            if state.failures == 0 {
                state.fails_in = Some(items);
            }
        });
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&lock(&self.state))
    }

    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }
}

impl State {
    fn wait(&mut self, cx: &Context<'_>) -> Poll<Result<(), Failed>> {
        self.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<u32> for Downstream {
    type Error = Failed;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let mut state = lock(&self.state);
        state.after_close += usize::from(state.closes > 0);
        if !state.ready && state.room == Some(0) {
            return state.wait(cx);
        }
        state.ready = true;
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: u32) -> Result<(), Failed> {
        let mut state = lock(&self.state);
        state.after_close += usize::from(state.closes > 0);
        if !std::mem::take(&mut state.ready) {
            state.unready_sends += 1;
        }
        state.room = state.room.map(|room| room.saturating_sub(1));
        match state.fails_in {
            Some(0) => {
                state.fails_in = None;
                state.failures += 1;
                return Err(Failed);
            }
            Some(left) => state.fails_in = Some(left - 1),
            None => {}
        }
        state.items.push(item);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let mut state = lock(&self.state);
        if state.held_up {
            return state.wait(cx);
        }
        state.flushed = state.items.len();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let mut state = lock(&self.state);
        if state.held_up {
            return state.wait(cx);
        }
        state.flushed = state.items.len();
        state.closes += 1;
        Poll::Ready(Ok(()))
    }
}
