//! Numbers as text, without the machinery of `fmt`, which would be most of what a scrape costs.

use std::io::Write;

/// The longest `u64`.
pub(super) const MOST_DIGITS: usize = 20;

/// Nanoseconds in a second, which is how exact a time is.
const PARTS: f64 = 1e9;

/// Below this every whole number is an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number, and the end of the line.
pub(super) fn push_count(text: &mut Vec<u8>, count: u64) {
    let mut digits = [b'\n'; MOST_DIGITS + 1];
    let first = write_digits(&mut digits[..MOST_DIGITS], count);
    text.extend_from_slice(&digits[first..]);
}

/// A number that reads back as the same, and the end of the line.
pub(super) fn push_number(text: &mut Vec<u8>, number: f64) {
    // A cast rounds towards zero and stops at the ends, without the call that `fract` and `round` cost.
    let whole = number as u64;
    if (0.0..EXACT).contains(&number) && whole as f64 == number {
        return push_count(text, whole);
    }
    let parts = (number * PARTS + 0.5) as u64;
    // Both are exact and so is the quotient, to the last bit: whoever reads these digits reads this number.
    if number > 0.0 && parts > 0 && (parts as f64) < EXACT / 2.0 && parts as f64 / PARTS == number {
        return push_parts(text, parts);
    }
    let _ = match number {
        f64::INFINITY => writeln!(text, "+Inf"),
        f64::NEG_INFINITY => writeln!(text, "-Inf"),
        _ => writeln!(text, "{number}"),
    };
}

/// So many billionths, not all of them whole.
fn push_parts(text: &mut Vec<u8>, parts: u64) {
    let mut digits = [b'0'; MOST_DIGITS + 1];
    let (whole, mut rest) = (parts / 1_000_000_000, parts % 1_000_000_000);
    let mut places = 9;
    while rest % 10 == 0 && places > 1 {
        rest /= 10;
        places -= 1;
    }
    // From the end: the places behind the point, the point, and what is before it.
    let point = MOST_DIGITS - places;
    write_digits(&mut digits[..MOST_DIGITS], rest);
    digits[point - 1] = b'.';
    let first = write_digits(&mut digits[..point - 1], whole);
    digits[MOST_DIGITS] = b'\n';
    text.extend_from_slice(&digits[first..]);
}

/// Writes a number to the end of a slice that has room for it. Where it begins.
fn write_digits(digits: &mut [u8], number: u64) -> usize {
    let mut rest = number;
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn text(number: f64) -> String {
        let mut text = Vec::new();
        push_number(&mut text, number);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_that_are_known() {
        for (number, expected) in [
            (0.0, "0\n"),
            (0.25, "0.25\n"),
            (100.023, "100.023\n"),
            (1e-9, "0.000000001\n"),
            (1.000_000_001, "1.000000001\n"),
            (4_503_599.627_370_495, "4503599.627370495\n"),
            (9_007_199.254_740_99, "9007199.25474099\n"),
            (1e-10, "0.0000000001\n"),
            (-1.5, "-1.5\n"),
            (0.1 + 0.2, "0.30000000000000004\n"),
            (1e300, &format!("{}\n", 1e300)),
            (f64::NAN, "NaN\n"),
            (f64::INFINITY, "+Inf\n"),
            (f64::NEG_INFINITY, "-Inf\n"),
        ] {
            assert_eq!(text(number), expected);
        }
        let mut longest = Vec::new();
        push_count(&mut longest, u64::MAX);
        assert_eq!(longest, b"18446744073709551615\n");
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_the_same(bits in any::<u64>(), nanos in 0..u64::MAX / 4) {
            let time = Duration::from_nanos(nanos >> (bits % 50)).as_secs_f64();
            for number in [f64::from_bits(bits), time].into_iter().filter(|number| !number.is_nan()) {
                let text = text(number);
                let read = text.trim_end().parse::<f64>().unwrap();
                prop_assert_eq!(read, number, "{}", text);
            }
        }
    }
}
