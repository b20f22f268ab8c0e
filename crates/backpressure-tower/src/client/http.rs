//! Refusals in HTTP.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::chain::BoxError;
use super::verdict::{Judge, Verdict};
use super::{advice, chain};

/// Judges HTTP responses, and honours `Retry-After`.
///
/// * 503 and 429 are refusals, which may be tried again once the time in `Retry-After` is over. That is given in seconds, which
///   may have decimals, or as a date, which counts from the `Date` of the response, or from the local clock without one.
/// * A call that surely was not processed may be tried again: one that was [not tried](crate::NotTried), one for which nobody
///   listened, and, with the feature `h2`, one that the peer says it has not begun with: a GOAWAY(NO_ERROR) that leaves it out, a
///   stream reset with REFUSED_STREAM.
/// * After 408 (with which tower-http's timeout answers), 502, 504 and all other errors nobody knows whether the request took
///   effect: refused, but not to be tried again.
///   A broken connection is one of them.
/// * Everything else is served.
///
/// An error is known by itself or by one of its sources. Where the service's error is a box, as with tower's `Timeout`, the judge is
/// [`HttpRefusals::boxed`].
///
/// ```
/// use std::time::Duration;
/// use backpressure_tower::{Verdict, HttpRefusals, Judge};
/// use http::Response;
///
/// let shed = Response::builder().status(503).header("retry-after", "2").body(()).unwrap();
/// let answer = HttpRefusals.judge(&Ok::<_, std::io::Error>(shed));
/// assert_eq!(answer, Verdict::Refused { retry_after: Some(Duration::from_secs(2)) });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpRefusals;

impl HttpRefusals {
    /// The judge of a service whose error is a box, which is no error of its own to Rust.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_tower::{HttpRefusals, ThrottleLayer};
    /// use http::{Request, Response};
    /// use tower::{ServiceBuilder, service_fn};
    ///
    /// let client = ServiceBuilder::new()
    ///     .layer(ThrottleLayer::new().judge(HttpRefusals::boxed))
    ///     .timeout(Duration::from_secs(1))
    ///     .service(service_fn(async |_: Request<()>| Ok::<_, std::io::Error>(Response::new(()))));
    /// # fn is_service<S: tower::Service<Request<()>>>(_: S) {}
    /// # is_service(client);
    /// ```
    pub fn boxed<B>(outcome: &Result<Response<B>, BoxError>) -> Verdict {
        judge(outcome.as_ref().map_err(|error| &**error as _))
    }
}

impl<B, E: Error + 'static> Judge<Response<B>, E> for HttpRefusals {
    fn judge(&self, outcome: &Result<Response<B>, E>) -> Verdict {
        judge(outcome.as_ref().map_err(|error| error as _))
    }
}

impl HttpRefusals {
    /// What a response with this status and these headers says, for clients whose responses are types of their own, such as
    /// reqwest's.
    pub fn response(&self, status: StatusCode, headers: &HeaderMap) -> Verdict {
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Verdict::Refused { retry_after: retry_after(headers) }
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Verdict::RefusedForGood
            }
            _ => Verdict::Served,
        }
    }

    /// What an error of the transport says.
    pub fn error(&self, error: &(dyn Error + 'static)) -> Verdict {
        chain::verdict(error)
    }
}

pub(super) fn judge<B>(outcome: Result<&Response<B>, &(dyn Error + 'static)>) -> Verdict {
    match outcome {
        Ok(response) => HttpRefusals.response(response.status(), response.headers()),
        Err(error) => HttpRefusals.error(error),
    }
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    advice::retry_after(text(RETRY_AFTER)?, text(DATE), SystemTime::now)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fmt;

    use super::*;

    fn judged(status: u16, headers: &[(&str, &str)]) -> Verdict {
        let response = Response::builder().status(status);
        let response = headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
        HttpRefusals.judge(&Ok::<_, Infallible>(response.body(()).unwrap()))
    }

    fn wait(headers: &[(&str, &str)]) -> Option<Duration> {
        match judged(503, headers) {
            Verdict::Refused { retry_after } => retry_after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_refusal_is_served_and_what_may_have_taken_effect_is_not_tried_again() {
        assert!([200, 304, 400, 404, 409, 500, 501].iter().all(|status| judged(*status, &[]) == Verdict::Served));
        assert!([408, 502, 504].iter().all(|status| judged(*status, &[]) == Verdict::RefusedForGood));
        assert_eq!(HttpRefusals.judge(&Err::<Response<()>, _>(fmt::Error)), Verdict::RefusedForGood);
        assert_eq!(judged(429, &[("retry-after", "1")]), judged(503, &[("retry-after", "1")]));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(wait(&[("retry-after", "120")]), Some(Duration::from_secs(120)));
        assert_eq!(wait(&[("retry-after", "1.5")]), Some(Duration::from_millis(1500)));
        let date = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")];
        assert_eq!(wait(&date), Some(Duration::from_secs(30)));
        assert_eq!(wait(&date[1..]), Some(Duration::ZERO), "by the local clock it is over");
        for nothing in ["soon", "-1", "NaN"] {
            assert_eq!(wait(&[("retry-after", nothing)]), None, "{nothing:?}");
        }
        assert_eq!(wait(&[]), None);
    }
}
