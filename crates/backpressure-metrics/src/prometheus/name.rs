//! How a metric is called in the text.

use backpressure_core::{Family, MetricKind};

/// The name of the family, without the `_total` of a counter.
pub(crate) fn exposed_name(family: &Family) -> String {
    let mut name = family.name.replace('.', "_");
    if let Some(unit) = exposed_unit(family) {
        name.push('_');
        name.push_str(unit);
    }
    name
}

/// The unit in words, if it has one. What stands in braces counts things, which is no unit.
pub(super) fn exposed_unit(family: &Family) -> Option<&'static str> {
    match family.unit {
        "s" => Some("seconds"),
        "By" => Some("bytes"),
        "1" if family.kind == MetricKind::Gauge => Some("ratio"),
        _ => None,
    }
}
