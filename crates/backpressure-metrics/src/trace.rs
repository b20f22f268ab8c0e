//! Events for what is worth a line in a log: changes of state, losses, ends, and another bottleneck.
//!
//! ```
//! use std::time::Instant;
//! use backpressure_metrics::{Registry, trace::Tracer};
//!
//! # let registry = Registry::new();
//! let mut tracer = Tracer::new();
//! tracer.tell(&registry.observe(Instant::now())); // every second, say
//! ```
//!
//! An observation is compared with the one before, so that a part which sheds ten thousand calls a second makes one event, not
//! ten thousand. The target is `backpressure`; levels are `INFO` for what is well, `WARN` for a part that is blocked or loses
//! something.

use backpressure_core::{MetricKind, State};

use crate::observation::{Observation, PartObservation};

/// Tells a `tracing` subscriber what has changed since the last observation.
#[derive(Debug, Default)]
pub struct Tracer {
    last: Observation,
}

/// Counters whose growth is a loss.
const LOSSES: [&str; 3] = ["backpressure.item.dropped", "backpressure.item.rejected", "backpressure.call.shed"];

impl Tracer {
    /// One that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Emits what has changed.
    pub fn tell(&mut self, observation: &Observation) {
        for part in &observation.parts {
            let before = self.last.part(&part.name);
            tell_state(part, before);
            if part.ended() && before.is_some_and(|before| !before.ended()) {
                tracing::info!(target: "backpressure", stage = &*part.name, "part ended");
            }
            tell_losses(part, before);
        }
        let sentence = |seen: &Observation| seen.bottleneck.as_ref().map(|found| (found.stage, found.cause));
        if sentence(observation) != sentence(&self.last) {
            match &observation.bottleneck {
                Some(found) => tracing::warn!(target: "backpressure", "bottleneck: {}", found.sentence),
                None => tracing::info!(target: "backpressure", "no bottleneck any more"),
            }
        }
        self.last = observation.clone();
    }
}

fn tell_state(part: &PartObservation, before: Option<&PartObservation>) {
    let Some(now) = part.state() else { return };
    let from = before.and_then(PartObservation::state).unwrap_or_default();
    if now == from {
        return;
    }
    let (stage, from) = (&*part.name, from.as_str());
    let utilization = part.utilization();
    if now == State::Blocked {
        tracing::warn!(target: "backpressure", stage, from, to = now.as_str(), utilization, "state changed");
    } else {
        tracing::info!(target: "backpressure", stage, from, to = now.as_str(), utilization, "state changed");
    }
}

fn tell_losses(part: &PartObservation, before: Option<&PartObservation>) {
    for metric in part.reading.metrics().filter(|metric| metric.family.kind == MetricKind::Counter) {
        if !LOSSES.contains(&metric.family.name) {
            continue;
        }
        let same = |earlier: &backpressure_core::Metric| {
            earlier.family == metric.family && earlier.attribute == metric.attribute
        };
        let earlier = before.and_then(|before| before.reading.metrics().find(same));
        let lost = metric.as_f64() - earlier.map_or(0.0, |earlier| earlier.as_f64());
        if lost > 0.0 {
            let reason = metric.attribute.unwrap_or("rejected");
            tracing::warn!(target: "backpressure", stage = &*part.name, reason, count = lost as u64, "lost");
        }
    }
}
