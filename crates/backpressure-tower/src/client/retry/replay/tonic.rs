//! Requests of a tonic client over its channel.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;

use super::http::{KeptRequest, MAX_BODY};
use crate::client::retry::keep::{Keep, Note};
use crate::client::retry::why::NotRetried;
use crate::respond::{grpc_timeout, grpc_timeout_value};

/// Keeps the bodies of gRPC requests while they are sent. See [`RetryLayer::into_grpc`](crate::RetryLayer::into_grpc).
#[derive(Debug, Clone, Copy)]
pub struct ReplayTonic {
    pub(in crate::client::retry) max_body: usize,
}

impl Default for ReplayTonic {
    fn default() -> Self {
        Self { max_body: MAX_BODY }
    }
}

impl Keep<Request<Body>> for ReplayTonic {
    type Sent = Request<Body>;
    type Kept = KeptRequest<Body>;

    fn wait_timeout(&self, request: &Request<Body>) -> Option<Duration> {
        grpc_timeout(request.headers())
    }

    fn keep(&self, request: Request<Body>) -> (KeptRequest<Body>, Request<Body>) {
        let (kept, sent) = KeptRequest::new(request, self.max_body);
        (kept, sent.map(Body::new))
    }

    fn check(&self, kept: &KeptRequest<Body>) -> Result<(), NotRetried> {
        kept.check()
    }

    fn again(&self, kept: &mut KeptRequest<Body>) -> Result<Request<Body>, NotRetried> {
        Ok(kept.again()?.map(Body::new))
    }

    /// Tonic's channel, the server and everybody in between learn how long an answer is of use.
    fn limit(&self, sent: &mut Request<Body>, left: Duration) {
        sent.headers_mut().insert("grpc-timeout", grpc_timeout_value(left));
    }
}

impl<B> Note<Response<B>> for ReplayTonic {
    fn note(&self, answer: &mut Response<B>, why: NotRetried) {
        answer.extensions_mut().insert(why);
        let name = HeaderName::from_static(NotRetried::HEADER);
        answer.headers_mut().insert(name, HeaderValue::from_static(why.as_str()));
    }
}
