//! The interface between a part and a registry of parts.

use crate::gauge::{Gauge, Snapshot};
use crate::metric::{Metric, MetricKind};

/// A part that says how it is, to whoever reads it now and then: a [`Gauge`], the handle of a layer, or something of yours.
pub trait Instrument: Send + Sync {
    /// What it says now. Its counters never go back.
    fn read(&self) -> Reading;

    /// The gauge of what it tells about, if there is one: how that spends its time is then taken, and whom it holds up.
    fn gauge(&self) -> Option<Gauge> {
        None
    }
}

/// What an [`Instrument`] says at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// What its gauge says, where it has one.
    pub snapshot: Option<Snapshot>,
    /// What it has to say beyond that.
    pub metrics: Vec<Metric>,
    /// Whether it has ended: nothing more will come to it.
    pub ended: bool,
}

impl Reading {
    /// Of a part with a gauge.
    pub fn of(snapshot: Snapshot) -> Self {
        Self { ended: snapshot.ended, snapshot: Some(snapshot), metrics: Vec::new() }
    }

    /// With this, too.
    #[must_use]
    pub fn with(mut self, metric: Metric) -> Self {
        self.metrics.push(metric);
        self
    }

    /// All its numbers. Of a part that has ended, those that only grow.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + '_ {
        let of_gauge = self.snapshot.iter().flat_map(Snapshot::metrics);
        let all = of_gauge.chain(self.metrics.iter().cloned());
        all.filter(|metric| !self.ended || metric.family.kind != MetricKind::Gauge)
    }

    /// This, with what an earlier part of the same name had counted: what only grows goes on from there.
    #[must_use]
    pub fn continuing(self, earlier: &Self) -> Self {
        let snapshot = match (self.snapshot, &earlier.snapshot) {
            (Some(now), Some(earlier)) => Some(now.continuing(earlier)),
            (None, Some(earlier)) => Some(Snapshot::default().continuing(earlier)),
            (now, None) => now,
        };
        let mut metrics: Vec<_> = self.metrics.into_iter().map(|now| now.continuing(&earlier.metrics)).collect();
        for metric in earlier.metrics.iter().filter(|metric| metric.family.kind != MetricKind::Gauge) {
            if !metrics.iter().any(|now| now.is_same(metric)) {
                metrics.push(metric.clone());
            }
        }
        Self { snapshot, metrics, ended: self.ended }
    }
}

impl Instrument for Gauge {
    fn read(&self) -> Reading {
        Reading::of(self.snapshot())
    }

    fn gauge(&self) -> Option<Gauge> {
        Some(self.clone())
    }
}
