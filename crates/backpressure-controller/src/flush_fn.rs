//! An async closure as a flush target.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll};

use tower_service::Service;

/// A function from a batch to a future, as a service that is always ready: what
/// [`ControllerBuilder::flush_fn`](crate::ControllerBuilder::flush_fn) makes of a closure, for who puts layers around it.
#[derive(Clone, Copy)]
pub struct FlushFn<F> {
    f: F,
}

impl<F> FlushFn<F> {
    /// Calls `f` with each batch.
    pub const fn new(f: F) -> Self {
        Self { f }
    }
}

impl<T, F, Fut, R, E> Service<Vec<T>> for FlushFn<F>
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Response = R;
    type Error = E;
    type Future = Fut;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Vec<T>) -> Fut {
        (self.f)(batch)
    }
}

impl<F> fmt::Debug for FlushFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushFn").finish_non_exhaustive()
    }
}
