//! Refusals in HTTP.

use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::advice;
use super::verdict::{Judge, Verdict};

/// Judges HTTP responses, and honours `Retry-After`.
///
/// * 503 and 429 are refusals, which may be tried again once the time in `Retry-After` is over. That is given in seconds, which
///   may have decimals, or as a date, which counts from the `Date` of the response, or from the local clock without one.
/// * After 502, 504 and errors nobody knows whether the request took effect: refused, but not to be tried again.
/// * Everything else is served.
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

impl<B, E> Judge<Response<B>, E> for HttpRefusals {
    fn judge(&self, outcome: &Result<Response<B>, E>) -> Verdict {
        let Ok(response) = outcome else { return Verdict::RefusedForGood };
        match response.status() {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Verdict::Refused { retry_after: retry_after(response.headers()) }
            }
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Verdict::RefusedForGood,
            _ => Verdict::Served,
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    advice::retry_after(text(RETRY_AFTER)?, text(DATE), SystemTime::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, headers: &[(&str, &str)]) -> Verdict {
        let response = Response::builder().status(status);
        let response = headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
        HttpRefusals.judge(&Ok::<_, ()>(response.body(()).unwrap()))
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
        assert!([502, 504].iter().all(|status| judged(*status, &[]) == Verdict::RefusedForGood));
        assert_eq!(HttpRefusals.judge(&Err::<Response<()>, _>("reset")), Verdict::RefusedForGood);
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
