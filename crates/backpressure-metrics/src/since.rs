//! What has come since the last time, for exporters that have to be told of each.

use backpressure_core::Durations;

use crate::series::Series;

/// Which series it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) stage: String,
    pub(crate) attribute: Option<(&'static str, String)>,
}

impl Key {
    pub(crate) fn of(series: &Series<'_>) -> Self {
        Self {
            name: series.family.name,
            stage: series.stage.to_owned(),
            attribute: series.attribute.map(|(name, value)| (name, value.to_owned())),
        }
    }
}

/// The upper edges in seconds, and how many durations below each are new. What is beyond the last edge counts as twice that.
pub(crate) fn new_durations(now: &Durations, last: &Durations) -> impl Iterator<Item = (f64, u64)> {
    let counts = *now.since(last).buckets();
    let beyond = Durations::EDGES[Durations::EDGES.len() - 1] * 2.0;
    Durations::EDGES.into_iter().chain([beyond]).zip(counts).filter(|(_, count)| *count > 0)
}
