//! Names that every exporter can carry.

use backpressure_core::{Family, MetricKind};

use crate::error::RegisterError;

/// Longer label values are cut or refused by some stores.
const LONGEST: usize = 200;

/// Whether this can be the name of a part.
pub(crate) fn check_part(name: &str) -> Result<(), RegisterError> {
    let must = if name.is_empty() {
        "not empty: an empty label is no label"
    } else if name.len() > LONGEST {
        "at most 200 bytes long"
    } else if name.chars().any(char::is_control) {
        "without control characters"
    } else if name.trim() != name {
        "without white space at its ends"
    } else {
        return Ok(());
    };
    Err(RegisterError::Name { name: name.into(), must })
}

/// What is wrong with this metric.
pub(crate) fn check_family(family: &Family) -> Result<(), &'static str> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !word.ends_with('_')
            && !word.contains("__")
    };
    if !family.name.split('.').all(is_word) {
        return Err("have a name of lower case words, digits, `_` and `.`");
    }
    if !family.attribute.is_empty() && !family.attribute.split('.').all(is_word) {
        return Err("have an attribute of lower case words, digits, `_` and `.`");
    }
    if ["stage", "le", "quantile"].contains(&family.attribute) {
        return Err("not have an attribute that exporters use: `stage`, `le` or `quantile`");
    }
    let is_note = family.unit.len() > 2 && family.unit.starts_with('{') && family.unit.ends_with('}');
    if !is_note && !["s", "By", "1"].contains(&family.unit) {
        return Err("have the unit `s`, `By`, `1`, or one in braces");
    }
    if family.unit == "1" && family.kind != MetricKind::Gauge {
        return Err("be a gauge if its unit is `1`: exporters call that a ratio");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_may_be_called_whatever_a_label_may_say() {
        for name in ["db", "Größe", "a \"quoted\" \\ name", "a b", "日本"] {
            assert_eq!(check_part(name), Ok(()), "{name}");
        }
        for (name, why) in [
            ("", "the name of a part is \"\", but must be not empty: an empty label is no label"),
            ("a\nb", "the name of a part is \"a\\nb\", but must be without control characters"),
            (" a", "the name of a part is \" a\", but must be without white space at its ends"),
        ] {
            assert_eq!(check_part(name).unwrap_err().to_string(), why);
        }
        assert!(check_part(&"a".repeat(201)).unwrap_err().to_string().ends_with("but must be at most 200 bytes long"));
    }

    #[test]
    fn a_metric_has_a_name_and_a_unit_that_every_exporter_reads_alike() {
        let family = |name, unit| Family::counter(name, unit, "Help.");
        for good in [family("a.b_c2", "{item}"), family("a", "s"), Family::gauge("a", "1", "Help.").by("error.type")] {
            assert_eq!(check_family(&good), Ok(()));
        }
        for bad in [
            family("A", "s"),
            family("a..b", "s"),
            family("a__b", "s"),
            family("1a", "s"),
            family("", "s"),
            family("a", "ms"),
            family("a", ""),
            family("a", "{}"),
            family("a", "1"),
            family("a", "s").by("stage"),
            family("a", "s").by("Le"),
        ] {
            assert!(check_family(&bad).is_err(), "{bad:?}");
        }
    }
}
