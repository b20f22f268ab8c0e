//! Metrics under the names that dashboards expect.

mod durations;
mod family;

pub(crate) use durations::DurationCells;
pub use durations::Durations;
pub use family::{Family, Metric, MetricKind, MetricValue};
