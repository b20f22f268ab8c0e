//! The time for which a server asks to be left alone, checked before it is believed.

use std::time::{Duration, SystemTime};

/// What `Retry-After` asks for: seconds, with or without decimals, or an HTTP date.
///
/// A date is counted from that of the response, so that it does not matter whose clock is right; without one, from `now`. One
/// that is over asks for no wait.
pub(super) fn retry_after(value: &str, date: Option<&str>, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Some(wait) = seconds(value) {
        return Some(wait);
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let sent = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or_else(now);
    Some(then.duration_since(sent).unwrap_or_default())
}

/// Digits, which may have a point and more digits behind them. What is below a nanosecond is dropped.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return None;
    }
    let nanos =
        decimals.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    Some(Duration::new(whole.parse().unwrap_or(u64::MAX), nanos))
}

/// What `grpc-retry-pushback-ms` asks for. `None`, for what is negative, malformed or too large for 32 bits, is "not at all".
#[cfg(feature = "grpc")]
pub(super) fn pushback(value: &[u8]) -> Option<Duration> {
    let millis: u32 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(Duration::from_millis(u64::from(millis)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn alone(value: &str) -> Option<Duration> {
        retry_after(value, None, || unreachable!("no clock is needed"))
    }

    #[test]
    fn seconds_may_have_decimals() {
        let cases = [
            ("120", 120_000_000_000),
            ("1.5", 1_500_000_000),
            ("0.25", 250_000_000),
            ("0", 0),
            ("007.0", 7_000_000_000),
        ];
        for (value, nanos) in cases {
            assert_eq!(alone(value), Some(Duration::from_nanos(nanos)), "{value:?}");
            assert_eq!(alone(&format!(" {value} ")), Some(Duration::from_nanos(nanos)), "{value:?}");
        }
        assert_eq!(alone("1.0000000019"), Some(Duration::new(1, 1)));
    }

    #[test]
    fn d6_a_number_too_large_is_the_longest_wait() {
        for forever in ["18446744073709551615", "18446744073709551616", &"9".repeat(1000)] {
            assert_eq!(alone(forever), Some(Duration::from_secs(u64::MAX)), "{forever}");
        }
        let longest = format!("{0}.{0}", "9".repeat(1000));
        assert_eq!(alone(&longest), Some(Duration::new(u64::MAX, 999_999_999)));
    }

    #[test]
    fn a_date_counts_from_that_of_the_response_or_else_from_the_local_clock() {
        let now = || httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:57 GMT").unwrap();
        let wait = |value, date| retry_after(value, date, now);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for then in ["Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994"] {
            assert_eq!(wait(then, Some(SENT)), seconds(30), "{then}");
            assert_eq!(wait(then, None), seconds(10), "{then}");
            assert_eq!(wait(then, Some("soon")), seconds(10), "a date that cannot be read is none");
        }
        for over in ["Sun, 06 Nov 1994 08:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            assert_eq!((wait(over, Some(SENT)), wait(over, None)), (seconds(0), seconds(0)), "it is over");
        }
        assert!(wait("Fri, 31 Dec 9999 23:59:59 GMT", None) > seconds(1 << 32));
    }

    #[test]
    fn what_cannot_be_read_is_no_advice() {
        let garbage =
            ["", " ", "soon", "-1", "+1", "-1.5", "1e3", "NaN", "inf", "0x10", ".", ".5", "1.", "1.5.5", "1,5", "1 2"];
        for value in garbage.into_iter().chain(["Sun, 06 Nov", "Sun, 31 Feb 1994 08:49:37 GMT", "\u{661}"]) {
            assert_eq!(retry_after(value, Some(SENT), SystemTime::now), None, "{value:?}");
        }
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_pushback_is_a_count_of_milliseconds_and_anything_else_means_not_at_all() {
        assert_eq!(pushback(b"250"), Some(Duration::from_millis(250)));
        assert_eq!(pushback(b"4294967295"), Some(Duration::from_millis(u64::from(u32::MAX))));
        let never: [&[u8]; 11] =
            [b"-1", b"", b" ", b"soon", b"NaN", b"1.5", b"4294967296", &[b'9'; 1000], b"1e3", b"\xff", b"-9999999999"];
        for value in never {
            assert_eq!(pushback(value), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(value: String, date: Option<String>, number in "[-+]?[0-9]{0,40}[.]?[0-9]{0,40}", bytes: Vec<u8>) {
            retry_after(&value, date.as_deref(), SystemTime::now);
            retry_after(&number, None, SystemTime::now);
            #[cfg(feature = "grpc")]
            pushback(&bytes);
            #[cfg(not(feature = "grpc"))]
            drop(bytes);
        }
    }
}
