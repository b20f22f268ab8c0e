//! How all parts are now, as a page is told once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use backpressure_core::{DropReason, Metric, MetricKind, Snapshot};
use serde::Serialize;

use super::fields::FIELDS;
use super::history::{Column, History};
use super::number::Number;
use super::sample::{BUCKETS, Change, Sample};
use super::sentence::sentence;
use crate::observation::PartObservation;

/// A part's own numbers beyond these are not shown.
const MOST_EXTRAS: usize = 24;

/// How all parts are now.
#[derive(Debug, Serialize)]
pub(super) struct Tick<'a> {
    generation: u64,
    column: u64,
    sentence: String,
    bottleneck: Option<usize>,
    left_out: usize,
    parts: Vec<Now<'a>>,
}

/// How a part is now.
#[derive(Debug, Serialize)]
struct Now<'a> {
    ended: bool,
    state: Option<u8>,
    fill: Number,
    r#in: Number,
    out: Number,
    lost: Number,
    idle: Option<Number>,
    busy: Option<Number>,
    blocked: Option<Number>,
    gauge: Option<OfGauge>,
    extras: Vec<Extra>,
    /// The newest column, which is still open.
    open: Option<[Number; FIELDS.len()]>,
    heat: Option<&'a [u32; BUCKETS]>,
}

/// What a gauge says.
#[derive(Debug, Serialize)]
struct OfGauge {
    calls: bool,
    capacity: usize,
    oldest: Option<Number>,
    waiting: usize,
    p50: Option<Number>,
    p99: Option<Number>,
    ledger: Ledger,
    drops: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct Ledger {
    received: u64,
    delivered: u64,
    rejected: u64,
    dropped: u64,
    evicted: u64,
    failed: u64,
    queued: u64,
    in_flight: u64,
}

/// A number of the part's own.
#[derive(Debug, Serialize)]
struct Extra {
    name: &'static str,
    of: Option<&'static str>,
    unit: &'static str,
    help: &'static str,
    value: Number,
}

impl<'a> Tick<'a> {
    /// Of the newest sample in `history`.
    pub(super) fn of(sample: &Sample, history: &'a History) -> Self {
        let parts = sample.seen.parts.iter().zip(&sample.changes).zip(&history.tracks);
        Self {
            generation: history.generation(),
            column: history.newest(),
            sentence: sentence(&sample.seen),
            bottleneck: sample.seen.bottleneck.as_ref().map(|bottleneck| bottleneck.stage),
            left_out: sample.left_out,
            parts: parts.map(|((part, change), track)| Now::of(part, change, track.open())).collect(),
        }
    }
}

impl<'a> Now<'a> {
    fn of(part: &PartObservation, change: &Change, open: Option<&'a Column>) -> Self {
        let [fill, come, out, lost, ..] = change.values.map(Number::from);
        let share = |share: fn(&backpressure_core::WorkShares) -> f64| part.shares.as_ref().map(share).map(Number);
        Self {
            ended: part.ended(),
            state: part.state().map(|state| state.as_u8()),
            fill,
            r#in: come,
            out,
            lost,
            idle: share(|shares| shares.idle),
            busy: share(|shares| shares.busy),
            blocked: share(|shares| shares.blocked),
            gauge: part.snapshot().map(OfGauge::of),
            extras: part.reading.metrics.iter().filter_map(Extra::of).take(MOST_EXTRAS).collect(),
            open: open.map(|column| column.values.map(Number::from)),
            heat: open.and_then(|column| column.heat.as_deref()),
        }
    }
}

impl OfGauge {
    fn of(snapshot: &Snapshot) -> Self {
        let (counts, calls) = (&snapshot.counts, snapshot.calls.as_deref());
        let seconds = |time: Option<Duration>| time.map(|time| Number(time.as_secs_f64()));
        let drops = DropReason::ALL.into_iter().map(|reason| (reason.as_str(), counts.lost(reason)));
        Self {
            calls: snapshot.admits_calls,
            capacity: snapshot.capacity,
            oldest: seconds(snapshot.oldest_age),
            waiting: snapshot.producers_waiting,
            p50: seconds(snapshot.flush.p50.or(calls.and_then(|calls| calls.p50))),
            p99: seconds(snapshot.flush.p99.or(calls.and_then(|calls| calls.p99))),
            ledger: Ledger {
                received: counts.received,
                delivered: counts.delivered,
                rejected: counts.rejected,
                dropped: counts.dropped(),
                evicted: counts.evicted(),
                failed: counts.failed(),
                queued: counts.queued,
                in_flight: counts.in_flight,
            },
            drops: drops.filter(|(_, items)| *items > 0).collect(),
        }
    }
}

impl Extra {
    fn of(metric: &Metric) -> Option<Self> {
        let family = metric.family;
        (family.kind != MetricKind::Histogram).then(|| Self {
            name: family.name.strip_prefix("backpressure.").unwrap_or(family.name),
            of: metric.attribute,
            unit: family.unit,
            help: family.help,
            value: Number(metric.as_f64()),
        })
    }
}
