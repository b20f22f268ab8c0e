//! All parts at one instant.

use std::sync::Arc;

use backpressure_core::{Bottleneck, Counts, Family, MetricValue, Reading, Snapshot, State, WorkShares};

use crate::series::Series;

static ENDED: Family = Family::gauge("backpressure.part.ended", "{part}", "1 once the part has ended, 0 before.");
static LINK: Family = Family::gauge("backpressure.link", "{link}", "1 for each part that feeds another.").by("next");
static BOTTLENECK: Family =
    Family::gauge("backpressure.bottleneck", "{part}", "1 for the part that the others wait for, 0 for the others.");

/// What a [`Registry`](crate::Registry) saw: plain values, of which everything that is shown is a rendering.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// The parts, in the order of their registration.
    pub parts: Vec<PartObservation>,
    /// Who feeds whom, as indices into `parts`.
    pub links: Vec<(usize, usize)>,
    /// The part that the others wait for. Its numbers are indices into `parts`.
    pub bottleneck: Option<Bottleneck>,
}

/// What one part said.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PartObservation {
    /// Its name.
    pub name: Arc<str>,
    /// All that it said. What only grows goes on from what earlier parts of this name had counted.
    pub reading: Reading,
    /// Where its time went in the last five to ten seconds, or since the observation before if that is longer ago. `None` of a
    /// part that does not say, and until some time has passed.
    pub shares: Option<WorkShares>,
}

impl PartObservation {
    pub(crate) const fn new(name: Arc<str>, reading: Reading) -> Self {
        Self { name, reading, shares: None }
    }

    /// Whether it has ended: nothing more will come to it.
    pub const fn ended(&self) -> bool {
        self.reading.ended
    }

    /// What its gauge says; `None` of a part without one.
    pub const fn snapshot(&self) -> Option<&Snapshot> {
        self.reading.snapshot.as_ref()
    }

    /// Its state; `None` of a part without a gauge.
    pub fn state(&self) -> Option<State> {
        self.snapshot().map(|snapshot| snapshot.state)
    }

    /// The filled share of its bound; `None` of a part without a gauge.
    pub fn utilization(&self) -> Option<f64> {
        self.snapshot().map(|snapshot| snapshot.utilization)
    }

    /// The fates of its items, or calls; `None` of a part without a gauge.
    pub fn counts(&self) -> Option<&Counts> {
        self.snapshot().map(|snapshot| &snapshot.counts)
    }

    /// Most calls in flight; `None` of a part that does not limit them.
    pub fn limit(&self) -> Option<usize> {
        self.snapshot().filter(|snapshot| snapshot.admits_calls).map(|snapshot| snapshot.capacity)
    }
}

impl Observation {
    /// The part of this name.
    pub fn part(&self, name: &str) -> Option<&PartObservation> {
        self.parts.iter().find(|part| &*part.name == name)
    }

    /// Every number of every part, under the names that all exporters use.
    ///
    /// Of a part that has ended only what it counted is left, so that no counter ever goes back.
    pub fn series(&self) -> impl Iterator<Item = Series<'_>> {
        let of_parts = self.parts.iter().flat_map(|part| {
            part.reading.metrics().map(|metric| Series {
                family: metric.family,
                stage: &part.name,
                attribute: metric.attribute.map(|value| (metric.family.attribute, value)),
                value: metric.value,
            })
        });
        let ended = self.parts.iter().map(|part| flag(&ENDED, part, None, part.ended()));
        let links = self.links.iter().filter_map(|&(from, to)| {
            let (from, to) = (self.parts.get(from)?, self.parts.get(to)?);
            Some(flag(&LINK, from, Some((LINK.attribute, &*to.name)), true))
        });
        let narrowest = self.bottleneck.as_ref().map(|bottleneck| bottleneck.stage);
        let bottleneck = self.parts.iter().enumerate().filter(|(_, part)| !part.ended());
        let bottleneck = bottleneck.map(move |(i, part)| flag(&BOTTLENECK, part, None, narrowest == Some(i)));
        of_parts.chain(ended).chain(links).chain(bottleneck)
    }
}

fn flag<'a>(
    family: &'static Family,
    part: &'a PartObservation,
    attribute: Option<(&'static str, &'a str)>,
    is_set: bool,
) -> Series<'a> {
    Series { family, stage: &part.name, attribute, value: MetricValue::Count(is_set.into()) }
}
