//! Numbers and lengths of time as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time with two or three significant digits.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.000_999_5 => format!("{:.0} µs", s * 1e6),
        s if s < 0.009_995 => format!("{:.2} ms", s * 1e3),
        s if s < 0.099_95 => format!("{:.1} ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0} ms", s * 1e3),
        s if s < 9.995 => format!("{s:.2} s"),
        s => format!("{s:.1} s"),
    }
}

/// A length of time that may not be known yet.
pub(crate) fn some_time(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), self::time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")];
        assert!(cases.into_iter().all(|(number, text)| count(number) == text));
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn times_keep_their_width_across_units() {
        let cases = [(0, "0 µs"), (999, "999 µs"), (1000, "1.00 ms"), (9999, "10.0 ms"), (123_456, "123 ms")];
        assert!(cases.into_iter().all(|(micros, text)| time(Duration::from_micros(micros)) == text));
        assert_eq!(time(Duration::from_millis(999)), "999 ms");
        assert_eq!(time(Duration::from_micros(999_700)), "1.00 s");
        assert_eq!(time(Duration::from_secs(75)), "75.0 s");
    }
}
