//! Requests of HTTP over any client.

use http::{Request, Response, request};
use http_body::Body;

use super::body::{KeptBody, ReplayBody};
use crate::client::retry::keep::{Keep, Note};
use crate::client::retry::why::NotRetried;

/// How much of a body is kept for another try, unless the layer says otherwise.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Keeps the bodies of HTTP requests while they are sent. See [`RetryLayer::into_http`](crate::RetryLayer::into_http).
#[derive(Debug, Clone, Copy)]
pub struct ReplayHttp {
    pub(in crate::client::retry) max_body: usize,
}

impl Default for ReplayHttp {
    fn default() -> Self {
        Self { max_body: MAX_BODY }
    }
}

/// What is kept of a request.
#[derive(Debug)]
pub struct KeptRequest<B> {
    head: request::Parts,
    body: KeptBody<B>,
}

impl<B: Body> KeptRequest<B> {
    pub(super) fn new(request: Request<B>, max_body: usize) -> (Self, Request<ReplayBody<B>>) {
        let (head, body) = request.into_parts();
        let (kept, first) = KeptBody::new(body, max_body);
        let sent = Request::from_parts(head.clone(), first);
        (Self { head, body: kept }, sent)
    }

    pub(super) fn check(&self) -> Result<(), NotRetried> {
        self.body.check()
    }

    pub(super) fn again(&self) -> Result<Request<ReplayBody<B>>, NotRetried> {
        Ok(Request::from_parts(self.head.clone(), self.body.again()?))
    }
}

impl<B: Body> Keep<Request<B>> for ReplayHttp {
    type Sent = Request<ReplayBody<B>>;
    type Kept = KeptRequest<B>;

    fn keep(&self, request: Request<B>) -> (KeptRequest<B>, Request<ReplayBody<B>>) {
        KeptRequest::new(request, self.max_body)
    }

    fn check(&self, kept: &KeptRequest<B>) -> Result<(), NotRetried> {
        kept.check()
    }

    fn again(&self, kept: &mut KeptRequest<B>) -> Result<Request<ReplayBody<B>>, NotRetried> {
        kept.again()
    }
}

impl<B> Note<Response<B>> for ReplayHttp {
    fn note(&self, answer: &mut Response<B>, why: NotRetried) {
        answer.extensions_mut().insert(why);
    }
}
