//! A service that does as it is told.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower::Service;

pub(crate) const MS: Duration = Duration::from_millis(1);

/// What the next call does. Runs once for each call.
type Script = Box<dyn FnMut(u32) -> Pin<Box<dyn Future<Output = Result<u32, &'static str>>>>>;

/// A service whose clones share everything but their readiness. It panics if it is called without.
pub(crate) struct Scripted {
    shared: Rc<Shared>,
    is_ready: bool,
}

pub(crate) struct Shared {
    script: RefCell<Script>,
    pub(crate) calls: Cell<u32>,
    pub(crate) polls: Cell<u32>,
    pub(crate) is_open: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Scripted {
    pub(crate) fn new<F>(mut script: impl FnMut(u32) -> F + 'static) -> (Self, Rc<Shared>)
    where
        F: Future<Output = Result<u32, &'static str>> + 'static,
    {
        let shared = Rc::new(Shared {
            script: RefCell::new(Box::new(move |request| Box::pin(script(request)))),
            calls: Cell::new(0),
            polls: Cell::new(0),
            is_open: Cell::new(true),
            waiting: RefCell::default(),
        });
        (Self { shared: Rc::clone(&shared), is_ready: false }, shared)
    }
}

impl Shared {
    /// From now on the service is ready.
    pub(crate) fn open(&self) {
        self.is_open.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl Clone for Scripted {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared), is_ready: false }
    }
}

impl Service<u32> for Scripted {
    type Response = u32;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<u32, &'static str>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.shared.polls.set(self.shared.polls.get() + 1);
        if !self.shared.is_open.get() {
            self.shared.waiting.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "only the service that was ready is called");
        self.shared.calls.set(self.shared.calls.get() + 1);
        (self.shared.script.borrow_mut())(request)
    }
}
