//! The series that a page draws.

/// How the samples of one column become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// The highest, so that a short peak is seen.
    Most,
    /// The mean.
    Mean,
    /// The newest.
    Last,
}

/// The series, in the order in which the page knows them.
pub(super) const FIELDS: [(&str, Fold); 9] = [
    ("fill", Fold::Most),
    ("in", Fold::Mean),
    ("out", Fold::Mean),
    ("lost", Fold::Mean),
    ("state", Fold::Most),
    ("busy", Fold::Mean),
    ("blocked", Fold::Mean),
    ("limit", Fold::Last),
    ("load", Fold::Most),
];

/// One value of each series. What is not known, or does not apply, is NaN.
pub(super) type Values = [f32; FIELDS.len()];

impl Fold {
    /// The value of a column that had `value` after `samples - 1` samples, and now gets the `next`.
    pub(super) fn of(self, value: f32, next: f32, samples: u16) -> f32 {
        match self {
            _ if next.is_nan() => value,
            _ if value.is_nan() => next,
            Self::Most => value.max(next),
            Self::Mean => value + (next - value) / f32::from(samples.max(1)),
            Self::Last => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(fold: Fold, values: &[f32]) -> f32 {
        (1..).zip(values).fold(f32::NAN, |value, (samples, next)| fold.of(value, *next, samples))
    }

    #[test]
    fn samples_become_one_value() {
        for (fold, value) in [(Fold::Most, 6.0), (Fold::Mean, 3.0), (Fold::Last, 1.0)] {
            assert_eq!(folded(fold, &[2.0, 6.0, 1.0]), value, "{fold:?}");
            assert!(folded(fold, &[f32::NAN, f32::NAN]).is_nan());
        }
    }

    #[test]
    fn what_is_not_known_counts_for_nothing() {
        assert_eq!(folded(Fold::Most, &[f32::NAN, 2.0, f32::NAN]), 2.0);
        assert_eq!(folded(Fold::Last, &[1.0, f32::NAN]), 1.0);
        assert_eq!(folded(Fold::Mean, &[f32::NAN, 2.0]), 2.0);
    }

    #[test]
    fn the_page_knows_the_series_in_this_order() {
        let names: Vec<_> = FIELDS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let line = format!("const FIELDS = [{}];", names.join(", "));
        assert!(include_str!("page/model.js").contains(&line), "{line}");
    }
}
