//! Everything through the [`metrics`] facade, for whatever recorder is installed.
//!
//! A facade is told; it does not ask. So whoever owns the [`Facade`] gives it an observation now and then:
//!
//! ```
//! use std::time::Instant;
//! use backpressure_metrics::{Registry, facade::Facade};
//!
//! # let registry = Registry::new();
//! let mut facade = Facade::new();
//! facade.record(&registry.observe(Instant::now())); // every few seconds, or before each scrape
//! ```
//!
//! The facade has whole counters only, so a counter of seconds is a gauge there. It has no histograms that were filled by
//! others: what is new in a bucket is recorded as durations of the bucket's upper edge, so that counts are right wherever the
//! recorder has [these buckets](backpressure_core::Durations::EDGES), and sums are at most too large.

use std::collections::{HashMap, HashSet};

use backpressure_core::{Durations, Family, MetricKind, MetricValue};
use metrics::{Label, Unit};

use crate::observation::Observation;
use crate::series::Series;
use crate::since::{Key, new_durations};

/// Tells the facade what was observed.
#[derive(Debug, Default)]
pub struct Facade {
    described: HashSet<&'static str>,
    durations: HashMap<Key, Durations>,
}

impl Facade {
    /// One that has told nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the recorder of this thread, or the global one.
    pub fn record(&mut self, observation: &Observation) {
        for series in observation.series() {
            if self.described.insert(series.family.name) {
                describe(series.family);
            }
            let (name, labels) = (series.family.name, labels(&series));
            match (&series.value, series.family.kind) {
                (MetricValue::Count(count), MetricKind::Counter) => metrics::counter!(name, labels).absolute(*count),
                (MetricValue::Count(count), _) => metrics::gauge!(name, labels).set(*count as f64),
                (MetricValue::Number(number), _) => metrics::gauge!(name, labels).set(*number),
                (MetricValue::Durations(durations), _) => {
                    let histogram = metrics::histogram!(name, labels);
                    let last = self.durations.insert(Key::of(&series), **durations).unwrap_or_default();
                    for (seconds, count) in new_durations(durations, &last) {
                        histogram.record_many(seconds, usize::try_from(count).unwrap_or(usize::MAX));
                    }
                }
                _ => {}
            }
        }
    }
}

fn labels(series: &Series<'_>) -> Vec<Label> {
    let stage = Label::new("stage", series.stage.to_owned());
    let attribute = series.attribute.map(|(name, value)| Label::new(name, value.to_owned()));
    [stage].into_iter().chain(attribute).collect()
}

fn describe(family: &Family) {
    let (name, help) = (family.name, family.help);
    match (family.kind, family.unit) {
        (MetricKind::Histogram, _) => metrics::describe_histogram!(name, Unit::Seconds, help),
        (_, "s") => metrics::describe_gauge!(name, Unit::Seconds, help),
        (MetricKind::Counter, _) => metrics::describe_counter!(name, help),
        (_, "By") => metrics::describe_gauge!(name, Unit::Bytes, help),
        _ => metrics::describe_gauge!(name, help),
    }
}
