//! How long a gRPC caller waits.

use std::time::Duration;

use http::HeaderMap;

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

    proptest! {
        #[test]
        fn nothing_panics(value: Vec<u8>) {
            parse(&value);
        }
    }
}
