//! The little arithmetic that is needed.

/// The one in the middle, or the mean of the two in the middle; NaN if there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => values[n / 2 - 1].midpoint(values[n / 2]),
    }
}

/// A time in the unit that suits it, to three digits.
pub fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        n if n >= 999_500_000.0 => (n / 1e9, "s"),
        n if n >= 999_500.0 => (n / 1e6, "ms"),
        n if n >= 999.5 => (n / 1e3, "µs"),
        n => (n, "ns"),
    };
    format!("{} {unit}", digits(value))
}

/// Three digits, at most two of them after the point.
pub fn digits(value: f64) -> String {
    match value {
        v if v.abs() >= 99.95 => format!("{v:.0}"),
        v if v.abs() >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_the_order_and_the_outlier() {
        assert_eq!(median([3.0, 1.0, 900.0]), 3.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([7.0]), 7.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0.794, "0.79 ns"),
            (9.996, "10.0 ns"),
            (25.31, "25.3 ns"),
            (303.2, "303 ns"),
            (999.6, "1.00 µs"),
            (9_200.0, "9.20 µs"),
            (2_840_000.0, "2.84 ms"),
            (3.2e9, "3.20 s"),
        ] {
            assert_eq!(time(nanos), text);
        }
    }
}
