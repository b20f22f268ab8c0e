//! What two observations, one after the other, say about the time between them.

use std::time::Instant;

use backpressure_core::{Counts, DropReason, Durations};

use super::fields::{FIELDS, Values};
use crate::observation::{Observation, PartObservation};

/// The buckets of a latency.
pub(super) const BUCKETS: usize = Durations::EDGES.len() + 1;

/// Parts beyond these are counted, but not shown: a page with more is no help to anybody.
const MOST_PARTS: usize = 500;

/// An observation, with what has happened since the one before.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) seen: Observation,
    /// One for each part of `seen`.
    pub(super) changes: Vec<Change>,
    /// How many parts there are that are not shown.
    pub(super) left_out: usize,
}

/// How one part was meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) values: Values,
    /// How many latencies fell into which bucket.
    pub(super) heat: Option<[u32; BUCKETS]>,
}

/// Compares each observation with the one before.
#[derive(Debug, Default)]
pub(super) struct Differences {
    before: Option<(Instant, Observation)>,
}

impl Differences {
    /// The next observation, made at `now`. Nothing is known of what happened before the first.
    pub(super) fn next(&mut self, now: Instant, mut seen: Observation) -> Sample {
        let left_out = seen.parts.len().saturating_sub(MOST_PARTS);
        seen.parts.truncate(MOST_PARTS);
        seen.links.retain(|(from, to)| *from.max(to) < MOST_PARTS);
        let changes = seen.parts.iter().enumerate();
        let changes = changes.map(|(i, part)| self.change(now, i, part)).collect();
        self.before = Some((now, seen.clone()));
        Sample { seen, changes, left_out }
    }

    fn change(&self, now: Instant, index: usize, part: &PartObservation) -> Change {
        let before = self.before.as_ref().and_then(|(at, seen)| {
            let same = seen.parts.get(index).filter(|before| before.name == part.name);
            Some((*at, same.or_else(|| seen.part(&part.name))?))
        });
        let earlier = before.map(|(_, part)| part);
        let seconds = before.map(|(at, _)| now.saturating_duration_since(at).as_secs_f64()).filter(|span| *span > 0.0);
        Change { values: values(part, earlier, seconds), heat: heat(part, earlier) }
    }
}

fn values(part: &PartObservation, earlier: Option<&PartObservation>, seconds: Option<f64>) -> Values {
    if part.ended() {
        return [f32::NAN; FIELDS.len()];
    }
    let or_nan = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
    let rate = |count: fn(&Counts) -> u64| {
        let more = |part: &PartObservation| part.counts().map(count);
        or_nan(seconds.and_then(|seconds| {
            let more = more(part)?.saturating_sub(earlier.and_then(more)?);
            Some(more as f64 / seconds)
        }))
    };
    let work = |part: &PartObservation| part.snapshot().and_then(|snapshot| snapshot.work);
    let shares = work(part).zip(earlier.and_then(work)).and_then(|(now, before)| now.since(&before).shares());
    let limit = part.limit();
    [
        or_nan(part.utilization()),
        rate(|counts| counts.received),
        rate(|counts| counts.delivered),
        rate(lost),
        or_nan(part.state().map(|state| state.as_u8().into())),
        or_nan(shares.map(|shares| shares.busy)),
        or_nan(shares.map(|shares| shares.blocked)),
        or_nan(limit.map(|limit| limit as f64)),
        or_nan(limit.and(part.counts()).map(|counts| counts.in_flight as f64)),
    ]
}

/// Items lost, whatever the reason.
pub(super) fn lost(counts: &Counts) -> u64 {
    DropReason::ALL.into_iter().map(|reason| counts.lost(reason)).fold(0, u64::saturating_add)
}

/// Of flushes, or else of calls.
pub(super) fn latencies(part: &PartObservation) -> Option<&Durations> {
    let snapshot = part.snapshot()?;
    snapshot.flush.durations.as_deref().or(snapshot.calls.as_ref().map(|calls| &calls.durations))
}

/// The latencies that were recorded meanwhile. A part without any has no heat, and one that was not seen before has none yet.
fn heat(part: &PartObservation, earlier: Option<&PartObservation>) -> Option<[u32; BUCKETS]> {
    let (now, earlier) = (latencies(part)?, earlier?);
    let new = latencies(earlier).map_or(*now, |before| now.since(before));
    Some(new.buckets().map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
}
