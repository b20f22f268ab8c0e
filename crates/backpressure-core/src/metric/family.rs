//! A metric: its name, unit, kind and value.

use super::durations::Durations;

/// What all values of one metric have in common: an OpenTelemetry name and a UCUM unit, the same for every exporter.
///
/// ```
/// use backpressure_core::{Family, Metric};
///
/// static REFILLS: Family = Family::counter("shop.refill", "{refill}", "Shelves that were refilled.").by("shelf");
/// let metric = Metric::count(&REFILLS, 3).with("fruit");
/// assert_eq!((metric.family.name, metric.attribute), ("shop.refill", Some("fruit")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Family {
    /// The dotted name: lower case letters, digits, `_` and `.`, a letter first.
    pub name: &'static str,
    /// The UCUM unit: `{item}`, `s`, or `1` for a share from 0 to 1 and for nothing else, for exporters call that a ratio.
    pub unit: &'static str,
    /// How it behaves over time.
    pub kind: MetricKind,
    /// The name of the attribute that tells its values apart; empty if a part has one value. The attribute `stage`, which
    /// tells parts apart, is the exporter's to add.
    pub attribute: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
}

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations, counted in buckets. It only grows.
    Histogram,
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// What metric it is.
    pub family: &'static Family,
    /// The value of its attribute, if the family has one.
    pub attribute: Option<&'static str>,
    /// The value.
    pub value: MetricValue,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// A whole number.
    Count(u64),
    /// Any number.
    Number(f64),
    /// Durations in buckets.
    Durations(Box<Durations>),
}

impl Family {
    const fn new(kind: MetricKind, name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { name, unit, kind, attribute: "", help }
    }

    /// What only grows.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Counter, name, unit, help)
    }

    /// What goes up and down.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Gauge, name, unit, help)
    }

    /// Durations in seconds, in buckets.
    pub const fn durations(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Histogram, name, "s", help)
    }

    /// The same, where an attribute of this name tells values apart.
    pub const fn by(self, attribute: &'static str) -> Self {
        Self { attribute, ..self }
    }
}

impl Metric {
    const fn new(family: &'static Family, value: MetricValue) -> Self {
        Self { family, attribute: None, value }
    }

    /// A whole number.
    pub const fn count(family: &'static Family, value: u64) -> Self {
        Self::new(family, MetricValue::Count(value))
    }

    /// Any number.
    pub const fn number(family: &'static Family, value: f64) -> Self {
        Self::new(family, MetricValue::Number(value))
    }

    /// Durations.
    pub fn durations(family: &'static Family, value: Durations) -> Self {
        Self::new(family, MetricValue::Durations(Box::new(value)))
    }

    /// The same, with the value of the family's attribute.
    #[must_use]
    pub fn with(self, attribute: &'static str) -> Self {
        Self { attribute: Some(attribute), ..self }
    }

    /// The value as a number; of durations, how many there were.
    pub fn as_f64(&self) -> f64 {
        match &self.value {
            MetricValue::Count(count) => *count as f64,
            MetricValue::Number(number) => *number,
            MetricValue::Durations(durations) => durations.count() as f64,
        }
    }

    /// This, with what an earlier part of the same name had counted, if it only grows.
    pub(crate) fn continuing(mut self, earlier: &[Self]) -> Self {
        let same = earlier.iter().find(|metric| metric.is_same(&self));
        if let Some(metric) = same.filter(|metric| metric.family.kind != MetricKind::Gauge) {
            self.value.add(&metric.value);
        }
        self
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.family == other.family && self.attribute == other.attribute
    }
}

impl MetricValue {
    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(other)) => *count = count.saturating_add(*other),
            (Self::Number(number), Self::Number(other)) => *number += other,
            (Self::Durations(durations), Self::Durations(other)) => **durations = durations.plus(other),
            _ => {}
        }
    }
}
