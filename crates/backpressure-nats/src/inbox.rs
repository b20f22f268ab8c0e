//! Deliveries on their way to whoever reads the source.

use std::collections::VecDeque;
use std::mem;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use backpressure_rt::lock;

use crate::delivery::Delivery;

/// The deliveries that arrived and that nobody has taken. It is bounded by the window.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    deliveries: VecDeque<Delivery<T>>,
    reader: Option<Waker>,
    is_closed: bool,
}

impl<T> Inbox<T> {
    pub(crate) const fn new() -> Self {
        let state = State { deliveries: VecDeque::new(), reader: None, is_closed: false };
        Self { state: Mutex::new(state) }
    }

    pub(crate) fn put(&self, arrived: &mut Vec<Delivery<T>>) {
        let reader = {
            let mut state = lock(&self.state);
            state.deliveries.extend(arrived.drain(..));
            state.reader.take()
        };
        wake(reader);
    }

    /// Nothing more comes. What is there can still be taken.
    pub(crate) fn close(&self) {
        let reader = {
            let mut state = lock(&self.state);
            state.is_closed = true;
            state.reader.take()
        };
        wake(reader);
    }

    /// Takes out what nobody has taken.
    pub(crate) fn clear(&self) -> VecDeque<Delivery<T>> {
        mem::take(&mut lock(&self.state).deliveries)
    }

    /// Exchanges what is there for an empty queue. Ready with `false` if nothing is there and nothing will come.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, empty: &mut VecDeque<Delivery<T>>) -> Poll<bool> {
        // Cloned before the lock and dropped after it: both call the waker's own code.
        let reader = cx.waker().clone();
        let replaced;
        {
            let mut state = lock(&self.state);
            if !state.deliveries.is_empty() {
                mem::swap(&mut state.deliveries, empty);
                return Poll::Ready(true);
            }
            if state.is_closed {
                return Poll::Ready(false);
            }
            replaced = state.reader.replace(reader);
        }
        drop(replaced);
        Poll::Pending
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}
