//! Numbers that are short when written.

use serde::{Serialize, Serializer};

/// A number with four significant digits; `null` if it is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl From<f32> for Number {
    fn from(value: f32) -> Self {
        Self(value.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let rounded = round(self.0);
        if !rounded.is_finite() {
            to.serialize_none()
        } else if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
            to.serialize_i64(rounded as i64)
        } else {
            to.serialize_f64(rounded)
        }
    }
}

fn round(value: f64) -> f64 {
    let shift = value.abs().log10().floor() - 3.0;
    let power = 10f64.powf(shift.abs());
    match shift {
        _ if !power.is_finite() => value,
        ..0.0 => (value * power).round() / power,
        _ => (value / power).round() * power,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let text = |value: f64| serde_json::to_string(&Number(value)).unwrap();
        for (value, short) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.123_456, "0.1235"),
            (123_456.789, "123500"),
            (-2.5, "-2.5"),
            (1e-9, "1e-9"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
            (1e300, "1e+300"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ] {
            assert_eq!(text(value), short);
        }
    }
}
