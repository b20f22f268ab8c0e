//! What can be sent, shared and moved.

use std::future::Ready;

use backpressure_tower::{
    ErrorsAreRefusals, HttpRefusals, ReplayBody, ReplayHttp, Retry, RetryBudget, RetryCounts, RetryFuture, RetryLayer,
    Throttle, ThrottleBody, ThrottleError, ThrottleFuture, ThrottleLayer, ThrottledHttp, Verdict,
};

fn all<T: Send + Sync + Unpin + std::fmt::Debug>() {}

#[derive(Debug, Clone)]
struct Echo;

impl tower::Service<u32> for Echo {
    type Response = u32;
    type Error = std::io::Error;
    type Future = Ready<Result<u32, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

#[test]
fn i4_everything_is_send_sync_and_unpin() {
    all::<Verdict>();
    all::<RetryBudget>();
    all::<RetryLayer>();
    all::<Retry<Echo, ErrorsAreRefusals>>();
    all::<RetryFuture<Echo, ErrorsAreRefusals, u32>>();
    all::<ThrottleLayer>();
    all::<Throttle<Echo, ErrorsAreRefusals>>();
    all::<ThrottleFuture<Ready<()>, ErrorsAreRefusals>>();
    all::<ThrottleError<std::io::Error>>();
    all::<RetryCounts>();
    all::<ReplayBody<http_body_util::Full<bytes::Bytes>>>();
    all::<RetryLayer<HttpRefusals, ReplayHttp>>();
    all::<ThrottleLayer<HttpRefusals, ThrottledHttp>>();
    all::<ThrottleBody<http_body_util::Full<bytes::Bytes>>>();
}
