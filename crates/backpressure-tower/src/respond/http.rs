//! Answers in HTTP.

use std::task::{Context, Poll};

use backpressure_core::State;
use backpressure_core::limit::Outcome;
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;

use super::body::HeldBody;
use super::hold::Hold;
use super::linger::{Linger, Lingers, NoLinger};
use super::wait;
use crate::limiter::Permit;
use crate::overloaded::Overloaded;
use crate::shed::{Lingering, Plain, Responder, ShedLayer};

/// Answers a shed request with `503 Service Unavailable`. See [`ShedLayer::into_http`].
///
/// `L` is what is done with a request whose body is still on its way: [`Linger`] or [`NoLinger`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Http<L = Linger> {
    linger: L,
}

/// What is kept of a request.
#[derive(Debug)]
pub struct HttpCall<T> {
    version: Version,
    is_head: bool,
    /// What is to be read of it, if it is shed.
    rest: Option<T>,
}

impl<C> ShedLayer<C, Plain> {
    /// Answers shed requests in HTTP, rather than with an error: the service's error type stays what it was, so a
    /// service that cannot fail (as axum wants it) still cannot.
    ///
    /// * A shed request gets `503 Service Unavailable` with an empty body and a `Retry-After` in whole seconds, at least 1,
    ///   computed from how long the excess takes to drain, and different from client to client. The
    ///   [`Overloaded`](crate::Overloaded) is among the extensions of the response, for layers outside that log or count.
    /// * A shed request over HTTP/1 whose body is still on its way is read on for a while and thrown away, so that its client gets
    ///   the answer rather than a broken pipe: see [`Linger`]. Request bodies are [`Body`]` + Send + 'static` for that; for any
    ///   other requests, see [`no_linger`](ShedLayer::no_linger).
    /// * While draining, shed requests and the last answers over HTTP/1 also carry `Connection: close`, so that clients who
    ///   keep their connection go elsewhere. Upgrades and requests that go by the layer are left alone. (HTTP/2 has no such
    ///   header; its server sends `GOAWAY` when it is told to shut down.)
    /// * A request occupies its slot to the end of the response's [body](HeldBody). If the body does not know its length, it is
    ///   a stream: it gives the slot back at the head, and is one of the
    ///   [`max_streams`](crate::ShedLayerBuilder::max_streams).
    /// * For an adaptive limit 503 is a sign of overload, and so are timeouts: 504, the 408 of tower-http's `TimeoutLayer`, and
    ///   errors that are [known](crate::is_timeout) to be one. Other 5xx and errors are not timed; other 4xx are answers like any.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use backpressure_tower::ShedLayer;
    /// use http::{Request, Response, StatusCode};
    /// use http_body_util::{Empty, Full};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ShedLayer::fixed(1)?.into_http();
    /// let handler = service_fn(|_: Request<Empty<&[u8]>>| async {
    ///     Ok::<_, Infallible>(Response::new(Full::new(&b"hello"[..])))
    /// });
    /// let server = ServiceBuilder::new().layer(layer).service(handler);
    ///
    /// let first = server.clone().oneshot(Request::default()).await?;
    /// assert_eq!(first.status(), StatusCode::OK);
    /// let second = server.clone().oneshot(Request::default()).await?;
    /// assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE, "the body of the first has not been read");
    /// assert!(second.headers().contains_key("retry-after"));
    /// drop(first);
    /// let third = server.oneshot(Request::default()).await?;
    /// assert_eq!(third.status(), StatusCode::OK);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_http(self) -> ShedLayer<C, Http> {
        self.respond_with(Http::default())
    }
}

impl<C, L> ShedLayer<C, Http<L>> {
    /// How long a server reads on when it sheds a request over HTTP/1. Default: see [`Linger`].
    pub fn linger(self, linger: Linger) -> ShedLayer<C, Http<Linger>> {
        self.respond_with(Http { linger })
    }

    /// Reads nothing of a request that is shed: it is dropped at once. For requests without a body of type
    /// [`Body`] `+ Send + 'static`, and for servers that see to it themselves.
    pub fn no_linger(self) -> ShedLayer<C, Http<NoLinger>> {
        self.respond_with(Http { linger: NoLinger })
    }
}

impl<A, B: Body, E, L: Lingers<A>> Responder<Request<A>, Response<B>, E> for Http<L> {
    type Call = HttpCall<L::Rest>;
    type Response = Response<HeldBody<B>>;
    type Error = E;

    const HOLDS: bool = true;

    fn begin(&self, request: &Request<A>) -> HttpCall<L::Rest> {
        HttpCall { version: request.version(), is_head: request.method() == Method::HEAD, rest: None }
    }

    #[inline]
    fn refuse(&self, call: &mut HttpCall<L::Rest>, request: Request<A>, lingering: &Lingering) {
        call.rest = self.linger.keep(request, lingering);
    }

    #[inline]
    fn poll_refused(&self, call: &mut HttpCall<L::Rest>, cx: &mut Context<'_>) -> Poll<()> {
        L::poll_answer(&mut call.rest, cx)
    }

    fn failed(&self, error: E) -> E {
        error
    }

    fn outcome(&self, result: &Result<Response<B>, E>) -> Outcome {
        result.as_ref().map_or(Outcome::Ignored, |response| outcome(response.status()))
    }

    fn answer(
        &self,
        call: HttpCall<L::Rest>,
        result: Result<Response<B>, E>,
        permit: Option<Permit>,
        state: State,
    ) -> Result<Self::Response, E> {
        let response = result?;
        let hold = if call.is_head || is_all_head(response.status()) {
            Ok(Hold::to_the_end(response.body(), permit))
        } else {
            Hold::of(response.body(), permit)
        };
        let mut response = match hold {
            Ok(hold) => response.map(|body| HeldBody::new(body, hold)),
            Err(overloaded) => return <Self as Responder<Request<A>, Response<B>, E>>::shed(self, call, overloaded),
        };
        // A connection that is upgraded is not one that is kept, and its `Connection` header says to what.
        if state == State::Draining && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            close(call.version, response.headers_mut());
        }
        Ok(response)
    }

    fn shed(&self, call: HttpCall<L::Rest>, overloaded: Overloaded) -> Result<Self::Response, E> {
        let mut response = Response::new(HeldBody::empty());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let seconds = wait::seconds(overloaded.retry_after(), wait::random());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        if overloaded.is_draining() {
            close(call.version, response.headers_mut());
        }
        response.extensions_mut().insert(overloaded);
        Ok(response)
    }
}

/// Whether an answer of this status is sent without its body, if it has one.
const fn is_all_head(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// What a status says about load.
pub(super) fn outcome(status: StatusCode) -> Outcome {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Outcome::Overload,
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => Outcome::TimedOut,
        _ if status.is_server_error() => Outcome::Ignored,
        _ => Outcome::Success,
    }
}

fn close(version: Version, headers: &mut HeaderMap) {
    if version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http_body_util::Full;

    use super::*;
    use crate::overloaded::ShedReason;

    type Inner = Response<Full<&'static [u8]>>;
    type Outer = Response<HeldBody<Full<&'static [u8]>>>;

    const HTTP: Http<NoLinger> = Http { linger: NoLinger };

    const fn call(version: Version) -> HttpCall<Infallible> {
        HttpCall { version, is_head: false, rest: None }
    }

    fn shed(version: Version, reason: ShedReason, wait: Duration) -> Outer {
        let overloaded = Overloaded::new(State::Blocked, reason, wait);
        let Ok(response) = Responder::<Request<()>, Inner, Infallible>::shed(&HTTP, call(version), overloaded);
        response
    }

    fn answer_with(version: Version, inner: Inner, state: State) -> Outer {
        let call = call(version);
        let Ok(response) = Responder::<Request<()>, Inner, Infallible>::answer(&HTTP, call, Ok(inner), None, state);
        response
    }

    fn answer(version: Version, state: State) -> Outer {
        answer_with(version, Inner::default(), state)
    }

    #[test]
    fn s3_a_shed_request_is_told_when_to_come_back() {
        let response = shed(Version::HTTP_11, ShedReason::Limit, Duration::from_secs(7));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(["7", "8"].contains(&response.headers()[RETRY_AFTER].to_str().unwrap()));
        assert!(response.body().is_end_stream());
        let overloaded = response.extensions().get::<Overloaded>().unwrap();
        assert_eq!(overloaded.reason(), ShedReason::Limit, "for those who ask why");
        let forever = shed(Version::HTTP_11, ShedReason::Limit, Duration::MAX);
        assert_eq!(forever.headers()[RETRY_AFTER], u64::MAX.to_string(), "d6");
    }

    #[test]
    fn connections_are_closed_while_draining_and_where_there_is_such_a_header() {
        let closes = |version, reason| shed(version, reason, Duration::ZERO).headers().contains_key(CONNECTION);
        assert!([Version::HTTP_10, Version::HTTP_11].into_iter().all(|version| closes(version, ShedReason::Draining)));
        assert!(!closes(Version::HTTP_2, ShedReason::Draining));
        assert!(!closes(Version::HTTP_11, ShedReason::Limit));

        let closes = |version, state| answer(version, state).headers().contains_key(CONNECTION);
        assert!(closes(Version::HTTP_11, State::Draining));
        assert!(!closes(Version::HTTP_2, State::Draining));
        assert!(!closes(Version::HTTP_11, State::Blocked));
    }

    #[test]
    fn an_upgrade_is_finished_even_while_draining() {
        let upgrade = Response::builder().status(101).header(CONNECTION, "upgrade").body(Full::default()).unwrap();
        let response = answer_with(Version::HTTP_11, upgrade, State::Draining);
        assert_eq!(response.headers()[CONNECTION], "upgrade");
    }

    #[test]
    fn only_503_and_timeouts_speak_of_overload() {
        for status in (100..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let mut response = Inner::default();
            *response.status_mut() = status;
            let expected = match status.as_u16() {
                503 => Outcome::Overload,
                408 | 504 => Outcome::TimedOut,
                500.. => Outcome::Ignored,
                _ => Outcome::Success,
            };
            let outcome = Responder::<Request<()>, Inner, Infallible>::outcome(&HTTP, &Ok(response));
            assert_eq!(outcome, expected, "{status}");
        }
    }
}
