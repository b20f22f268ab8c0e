//! The `grpc-timeout` of a call.

use std::time::Duration;

use http::HeaderMap;
#[cfg(all(feature = "client", feature = "tonic"))]
use http::HeaderValue;

/// What is left of the caller's deadline, as the `grpc-timeout` header tells it: at most eight digits and a unit, as in `250m`.
/// `None` without a header, and with one that is malformed.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get("grpc-timeout")?.as_bytes())
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0, |amount, digit| amount * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// The value of a `grpc-timeout` header: the time rounded down to the finest unit in which it has at most eight digits, at least
/// 1 µs and at most 99 999 999 hours.
#[cfg(all(feature = "client", feature = "tonic"))]
pub(crate) fn timeout_value(left: Duration) -> HeaderValue {
    let units = [("u", 1), ("m", 1_000), ("S", 1_000_000), ("M", 60_000_000), ("H", 3_600_000_000_u128)];
    let micros = left.as_micros().max(1);
    let (unit, amount) = units
        .into_iter()
        .map(|(unit, length)| (unit, micros / length))
        .find(|(_, amount)| *amount <= MOST)
        .unwrap_or(("H", MOST));
    HeaderValue::try_from(format!("{amount}{unit}")).unwrap_or(HeaderValue::from_static("99999999H"))
}

/// Eight digits.
#[cfg(all(feature = "client", feature = "tonic"))]
const MOST: u128 = 99_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_is_understood() {
        let cases = [("2H", 7_200_000_000), ("3M", 180_000_000), ("4S", 4_000_000), ("250m", 250_000), ("6u", 6)];
        for (value, micros) in cases {
            assert_eq!(parse(value.as_bytes()), Some(Duration::from_micros(micros)), "{value}");
        }
        assert_eq!(parse(b"7n"), Some(Duration::from_nanos(7)));
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
    }

    #[test]
    fn what_is_malformed_is_no_timeout() {
        for value in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", " 1S", "1 S", "1\u{b5}"] {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[cfg(all(feature = "client", feature = "tonic"))]
    #[test]
    fn what_is_written_is_read() {
        let read = |left| parse(timeout_value(left).as_bytes()).unwrap();
        for exact in [Duration::from_micros(1), Duration::from_micros(99_999_999), Duration::from_secs(90_000)] {
            assert_eq!(read(exact), exact);
        }
        assert_eq!(read(Duration::ZERO), Duration::from_micros(1));
        assert_eq!(read(Duration::from_micros(100_000_999)), Duration::from_millis(100_000), "rounded down");
        assert_eq!(read(Duration::MAX), Duration::from_secs(99_999_999 * 3600), "d6");
    }

    proptest! {
        #[test]
        fn nothing_panics(value: Vec<u8>) {
            parse(&value);
        }
    }
}
