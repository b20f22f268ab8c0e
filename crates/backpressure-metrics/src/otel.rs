//! Everything as instruments of an OpenTelemetry [`Meter`].
//!
//! ```
//! use backpressure_metrics::{Registry, otel::Bridge};
//!
//! # let registry = Registry::new();
//! // With the meter of your provider:
//! let meter = opentelemetry::global::meter("pressure");
//! let bridge = Bridge::new(&registry, &meter);
//! // After parts with metrics of their own were added:
//! bridge.update();
//! ```
//!
//! What only grows is an observable counter, what goes up and down an observable gauge; each collection observes the registry
//! once. A histogram cannot be observed in OpenTelemetry: what is new in a bucket is recorded as so many durations of the
//! bucket's upper edge, under [the same edges](Durations::EDGES).
//!
//! Under delta temporality a counter that is missing from one collection is counted anew from zero in the next, and one that
//! falls wraps around. So every counter that was ever reported is reported in every collection, at its last value if its
//! part was removed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use backpressure_core::{Durations, Family, MetricKind, MetricValue};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use crate::registry::Registry;
use crate::since::{Key, new_durations};

/// Shows a registry to a meter, for as long as the meter's provider lives.
pub struct Bridge {
    shared: Arc<Shared>,
    meter: Meter,
}

struct Shared {
    registry: Registry,
    state: Mutex<State>,
}

/// What was seen last.
#[derive(Default)]
struct State {
    /// The metrics that have an instrument.
    known: HashSet<&'static str>,
    histograms: HashMap<&'static str, Histogram<f64>>,
    /// The current values, by metric.
    values: HashMap<&'static str, Vec<(Vec<KeyValue>, MetricValue)>>,
    /// All counters that ever were, at their last value.
    totals: HashMap<Key, MetricValue>,
    durations: HashMap<Key, Durations>,
    /// The metrics that were reported since the registry was last observed.
    reported: HashSet<&'static str>,
}

impl State {
    /// Whether this metric is the first of a collection: the very first, or one that was reported since the last look. Which
    /// ones a collection asks for, and in what order, is up to the views of the provider.
    fn is_first(&mut self, name: &'static str) -> bool {
        if !self.reported.is_empty() && self.reported.insert(name) {
            return false;
        }
        self.reported = HashSet::from([name]);
        true
    }
}

impl Bridge {
    /// Makes an instrument of each metric that the registry has now.
    pub fn new(registry: &Registry, meter: &Meter) -> Self {
        let shared = Shared { registry: registry.clone(), state: Mutex::default() };
        let bridge = Self { shared: Arc::new(shared), meter: meter.clone() };
        bridge.update();
        bridge
    }

    /// Makes instruments of the metrics that have come since. Parts of kinds that were there before need none.
    pub fn update(&self) {
        let seen = self.shared.registry.observe(Instant::now());
        for series in seen.series() {
            let is_new = self.shared.lock().known.insert(series.family.name);
            if is_new {
                self.add(series.family, &series.value);
            }
        }
    }

    fn add(&self, family: &'static Family, value: &MetricValue) {
        let (name, unit, help) = (family.name, family.unit, family.help);
        let shared = Arc::clone(&self.shared);
        let meter = &self.meter;
        match (value, family.kind) {
            (MetricValue::Durations(_), _) => {
                let histogram = meter.f64_histogram(name).with_unit(unit).with_description(help);
                let histogram = histogram.with_boundaries(Durations::EDGES.to_vec()).build();
                self.shared.lock().histograms.insert(name, histogram);
            }
            (MetricValue::Count(_), MetricKind::Counter) => {
                let instrument = meter.u64_observable_counter(name).with_unit(unit).with_description(help);
                instrument.with_callback(move |observer| shared.report(name, observer, as_u64)).build();
            }
            (_, MetricKind::Counter) => {
                let instrument = meter.f64_observable_counter(name).with_unit(unit).with_description(help);
                instrument.with_callback(move |observer| shared.report(name, observer, as_f64)).build();
            }
            (MetricValue::Count(_), _) => {
                let instrument = meter.u64_observable_gauge(name).with_unit(unit).with_description(help);
                instrument.with_callback(move |observer| shared.report(name, observer, as_u64)).build();
            }
            _ => {
                let instrument = meter.f64_observable_gauge(name).with_unit(unit).with_description(help);
                instrument.with_callback(move |observer| shared.report(name, observer, as_f64)).build();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports one metric. The first of each collection has the registry observed for all.
    fn report<N>(&self, name: &'static str, observer: &dyn AsyncInstrument<N>, as_number: fn(&MetricValue) -> N) {
        let is_first = self.lock().is_first(name);
        if is_first {
            self.refresh();
        }
        let values = self.lock().values.get(name).cloned().unwrap_or_default();
        for (attributes, value) in &values {
            observer.observe(as_number(value), attributes);
        }
    }

    fn refresh(&self) {
        let seen = self.registry.observe(Instant::now());
        let mut state = self.lock();
        state.values.clear();
        let mut recorded = Vec::new();
        for series in seen.series() {
            let key = Key::of(&series);
            if let MetricValue::Durations(durations) = &series.value {
                // Until it has an instrument nothing of it counts as recorded.
                let Some(histogram) = state.histograms.get(series.family.name).cloned() else { continue };
                let attributes = attributes(&key);
                let last = state.durations.insert(key, **durations).unwrap_or_default();
                recorded.push((histogram, attributes, **durations, last));
            } else if series.family.kind == MetricKind::Counter {
                state.totals.insert(key, series.value);
            } else {
                state.values.entry(key.name).or_default().push((attributes(&key), series.value));
            }
        }
        let State { values, totals, .. } = &mut *state;
        for (key, value) in totals {
            values.entry(key.name).or_default().push((attributes(key), value.clone()));
        }
        drop(state);
        for (histogram, attributes, durations, last) in recorded {
            for (seconds, count) in new_durations(&durations, &last) {
                (0..count).for_each(|_| histogram.record(seconds, &attributes));
            }
        }
    }
}

fn attributes(key: &Key) -> Vec<KeyValue> {
    let attribute = key.attribute.as_ref().map(|(name, value)| KeyValue::new(*name, value.clone()));
    [KeyValue::new("stage", key.stage.clone())].into_iter().chain(attribute).collect()
}

fn as_u64(value: &MetricValue) -> u64 {
    match value {
        MetricValue::Count(count) => *count,
        other => as_f64(other) as u64,
    }
}

fn as_f64(value: &MetricValue) -> f64 {
    match value {
        MetricValue::Count(count) => *count as f64,
        MetricValue::Number(number) => *number,
        _ => 0.0,
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("registry", &self.shared.registry).finish_non_exhaustive()
    }
}
