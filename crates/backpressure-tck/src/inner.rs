//! A service that does as it is told, for single calls and for batches.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tower_service::Service;

use crate::downstream::Failed;

/// What a request is answered with.
pub(crate) const fn answer_to(request: u32) -> u32 {
    request + 1_000
}

/// The inner service of a service under test.
#[derive(Debug)]
pub struct Inner(Arc<Mutex<State>>);

/// An inner service of single calls. A clone is not ready, even if this one is.
#[derive(Debug)]
pub struct One(Many);

/// An inner service of batches. A clone is not ready, even if this one is.
#[derive(Debug)]
pub struct Many {
    state: Arc<Mutex<State>>,
    ready: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// How many calls may be ready or open at once.
    limit: usize,
    taken: usize,
    pub(crate) open: Vec<Open>,
    next_call: u64,
    pub(crate) unready_calls: usize,
    pub(crate) peak: usize,
    /// Requests of calls that failed, panicked or were answered wrongly.
    pub(crate) spoilt: Vec<u32>,
    /// Every request that ever came.
    pub(crate) seen: Vec<u32>,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
pub(crate) struct Open {
    number: u64,
    requests: Vec<u32>,
    how: Option<How>,
    waker: Option<Waker>,
}

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    Fail,
    Panic,
    /// With an answer too few, where it is a batch.
    Short,
}

/// A call that is open.
#[derive(Debug)]
pub struct Answering {
    state: Arc<Mutex<State>>,
    number: u64,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tester's end.
#[derive(Debug)]
pub(crate) struct Desk(Arc<Mutex<State>>);

impl Desk {
    pub(crate) fn new(limit: usize) -> (Self, Inner) {
        let state = Arc::new(Mutex::new(State { limit, ..State::default() }));
        (Self(Arc::clone(&state)), Inner(state))
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&lock(&self.0))
    }

    /// Answers the open call in this place, as far as there is one that has no answer yet.
    pub(crate) fn answer(&self, place: usize, how: How) -> bool {
        let mut state = lock(&self.0);
        let mut open: Vec<&mut Open> = state.open.iter_mut().filter(|open| open.how.is_none()).collect();
        if open.is_empty() {
            return false;
        }
        let place = place % open.len();
        let open = &mut open[place];
        open.how = Some(how);
        let (waker, requests) = (open.waker.take(), open.requests.clone());
        if how != How::Well {
            state.spoilt.extend(requests);
        }
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Inner {
    /// For single calls.
    pub fn one(self) -> One {
        One(self.many())
    }

    /// For batches: the answers stand in the places of the requests.
    pub fn many(self) -> Many {
        Many { state: self.0, ready: false }
    }
}

impl State {
    fn free(&mut self) -> Vec<Waker> {
        self.taken -= 1;
        std::mem::take(&mut self.wakers)
    }
}

impl Many {
    fn open(&mut self, requests: Vec<u32>) -> Answering {
        let mut state = lock(&self.state);
        if !std::mem::take(&mut self.ready) {
            state.unready_calls += 1;
            state.taken += 1;
        }
        let number = state.next_call;
        state.next_call += 1;
        state.seen.extend(&requests);
        state.open.push(Open { number, requests, how: None, waker: None });
        state.peak = state.peak.max(state.open.len());
        Answering { state: Arc::clone(&self.state), number }
    }
}

impl Service<Vec<u32>> for Many {
    type Response = Vec<u32>;
    type Error = Failed;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let mut state = lock(&self.state);
        if !self.ready {
            if state.taken >= state.limit {
                state.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            state.taken += 1;
            self.ready = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, requests: Vec<u32>) -> Answering {
        self.open(requests)
    }
}

impl Clone for Many {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ready: false }
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        if self.ready {
            let wakers = lock(&self.state).free();
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Clone for One {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A single call that is open.
#[derive(Debug)]
pub struct AnsweringOne(Answering);

impl Service<u32> for One {
    type Response = u32;
    type Error = Failed;
    type Future = AnsweringOne;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: u32) -> AnsweringOne {
        AnsweringOne(self.0.open(vec![request]))
    }
}

impl Future for AnsweringOne {
    type Output = Result<u32, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(cx);
        answer.map(|answers| answers.and_then(|answers| answers.first().copied().ok_or(Failed)))
    }
}

impl Future for Answering {
    type Output = Result<Vec<u32>, Failed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.state);
        let Some(open) = state.open.iter_mut().find(|open| open.number == self.number) else {
            return Poll::Ready(Err(Failed));
        };
        let mut answers: Vec<u32> = open.requests.iter().copied().map(answer_to).collect();
        match open.how {
            None => {
                open.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(How::Well) => Poll::Ready(Ok(answers)),
            Some(How::Fail) => Poll::Ready(Err(Failed)),
            Some(How::Short) => {
                answers.pop();
                Poll::Ready(Ok(answers))
            }
            Some(How::Panic) => {
                drop(state);
                // As told, and without a word on stderr.
                std::panic::resume_unwind(Box::new(Failed))
            }
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let number = self.number;
        state.open.retain(|open| open.number != number);
        let wakers = state.free();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}
