//! The retry service.

use std::mem;
use std::task::{Context, Poll};

use tower_service::Service;

use super::future::RetryFuture;
use super::keep::{Cloned, Keep, Note};
use super::plan::Plan;
use crate::client::Judge;

/// The service of a [`RetryLayer`](crate::RetryLayer).
#[derive(Debug, Clone)]
pub struct Retry<S, J, K = Cloned> {
    inner: S,
    plan: Plan<J, K>,
}

impl<S, J, K> Retry<S, J, K> {
    pub(super) const fn new(inner: S, plan: Plan<J, K>) -> Self {
        Self { inner, plan }
    }
}

impl<S, J, K, Req> Service<Req> for Retry<S, J, K>
where
    S: Service<K::Sent> + Clone,
    J: Judge<S::Response, S::Error> + Clone,
    K: Keep<Req> + Note<S::Response> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, J, Req, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let fresh = self.inner.clone();
        let readied = mem::replace(&mut self.inner, fresh);
        RetryFuture::new(readied, self.plan.clone(), request)
    }
}
