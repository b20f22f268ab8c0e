//! Refusals in HTTP.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::verdict::{Judge, Verdict};

/// Judges HTTP responses, and honours `Retry-After`.
///
/// * 503 and 429 are refusals, which may be tried again once the time in `Retry-After` is over, be it given in seconds or as a
///   date.
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

/// A date is counted from that of the response: whose clock is right does not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(RETRY_AFTER)?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let sent = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(then.duration_since(sent).unwrap_or_default())
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
        let date = |date| [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", date)];
        assert_eq!(wait(&[("retry-after", "120")]), Some(Duration::from_secs(120)));
        for forever in ["18446744073709551615", "18446744073709551616", &"9".repeat(1000)] {
            assert_eq!(wait(&[("retry-after", forever)]), Some(Duration::from_secs(u64::MAX)), "d6 {forever}");
        }
        assert_eq!(wait(&date("Sun, 06 Nov 1994 08:50:07 GMT")), Some(Duration::from_secs(30)));
        assert_eq!(wait(&date("Sun, 06 Nov 1994 08:00:00 GMT")), Some(Duration::ZERO), "it is over");
    }

    #[test]
    fn what_cannot_be_read_is_no_advice() {
        for value in ["", "soon", "-1", "+1", "1.5", "1e3", "NaN", "0x10", "Sun, 06 Nov 1994 08:50:07 GMT"] {
            assert_eq!(wait(&[("retry-after", value)]), None, "{value:?}, and no date to count from");
        }
        assert_eq!(wait(&[]), None);
    }
}
