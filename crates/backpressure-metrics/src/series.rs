//! Every number of an observation, under its name.

use backpressure_core::{Family, MetricValue};

/// One number of an [`Observation`](crate::Observation).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Series<'a> {
    /// What metric it is.
    pub family: &'static Family,
    /// The name of the part, the attribute `stage` of every exporter.
    pub stage: &'a str,
    /// Another attribute's name and value.
    pub attribute: Option<(&'static str, &'a str)>,
    /// The value.
    pub value: MetricValue,
}
