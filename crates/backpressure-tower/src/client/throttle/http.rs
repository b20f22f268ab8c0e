//! Answers in HTTP and gRPC for calls that were not made.

use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "grpc")]
use http::{HeaderValue, header::CONTENT_TYPE};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::answer::Answer;
use super::not_tried::NotTried;

/// A call that was not made is answered with 503. See [`ThrottleLayer::into_http`](crate::ThrottleLayer::into_http).
#[derive(Debug, Clone, Copy, Default)]
pub struct ThrottledHttp;

impl<B, E> Answer<Response<B>, E> for ThrottledHttp {
    type Response = Response<ThrottleBody<B>>;
    type Error = E;

    fn throttled(_: f64) -> Result<Response<ThrottleBody<B>>, E> {
        let mut response = Response::new(ThrottleBody { body: None });
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(NotTried);
        Ok(response)
    }

    fn answered(outcome: Result<Response<B>, E>) -> Result<Response<ThrottleBody<B>>, E> {
        outcome.map(|response| response.map(|body| ThrottleBody { body: Some(body) }))
    }

    fn failed(error: E) -> E {
        error
    }
}

/// A call that was not made is answered with `UNAVAILABLE`. See [`ThrottleLayer::into_grpc`](crate::ThrottleLayer::into_grpc).
#[cfg(feature = "grpc")]
#[derive(Debug, Clone, Copy, Default)]
pub struct ThrottledGrpc;

#[cfg(feature = "grpc")]
impl<B, E> Answer<Response<B>, E> for ThrottledGrpc {
    type Response = Response<ThrottleBody<B>>;
    type Error = E;

    fn throttled(_: f64) -> Result<Response<ThrottleBody<B>>, E> {
        let mut response = Response::new(ThrottleBody { body: None });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static("14"));
        headers.insert("grpc-message", HeaderValue::from_static(NotTried::MESSAGE));
        response.extensions_mut().insert(NotTried);
        Ok(response)
    }

    fn answered(outcome: Result<Response<B>, E>) -> Result<Response<ThrottleBody<B>>, E> {
        ThrottledHttp::answered(outcome)
    }

    fn failed(error: E) -> E {
        error
    }
}

pin_project! {
    /// The body of a response through a throttle: the service's own, or an empty one.
    #[derive(Debug)]
    pub struct ThrottleBody<B> {
        #[pin]
        body: Option<B>,
    }
}

/// The empty body.
impl<B> Default for ThrottleBody<B> {
    fn default() -> Self {
        Self { body: None }
    }
}

impl<B: Body> Body for ThrottleBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.as_pin_mut().map_or(Poll::Ready(None), |body| body.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}
