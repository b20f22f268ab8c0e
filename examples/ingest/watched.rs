//! The run as a registry knows it: lines go into the buffer, and the buffer into the database.

use std::sync::Arc;
use std::time::Instant;

use backpressure::core::{Family, Instrument, Metric, Reading, WorkShares};
use backpressure::{Gauge, Snapshot};
use backpressure_metrics::{Observation, RegisterError, Registry};

use crate::tally::Tally;

static LINES: Family = Family::counter("ingest.lines", "{line}", "Lines read.");
static BAD_LINES: Family = Family::counter("ingest.lines.bad", "{line}", "Lines that are no events.");

const INPUT: &str = "input";
const DATABASE: &str = "database";

/// The two parts of the run: what is read, and what is written.
pub(crate) fn registry(tally: &Arc<Tally>, buffer: Gauge) -> Result<Registry, RegisterError> {
    let registry = Registry::new();
    let input = registry.add(INPUT, Lines(Arc::clone(tally)))?;
    let database = registry.add(DATABASE, buffer)?;
    registry.link(&input, &database)?;
    Ok(registry)
}

/// The lines as a part tells them.
struct Lines(Arc<Tally>);

impl Instrument for Lines {
    fn read(&self) -> Reading {
        let (lines, bad) = self.0.lines_and_bad();
        Reading::default().with(Metric::count(&LINES, lines)).with(Metric::count(&BAD_LINES, bad))
    }
}

/// What the view shows of an observation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) buffer: Snapshot,
    /// Where the time of the flushes went in the last seconds.
    pub(crate) work: Option<WorkShares>,
    pub(crate) lines: u64,
    pub(crate) bad_lines: u64,
}

impl Seen {
    pub(crate) fn at(now: Instant, registry: &Registry) -> Self {
        let seen = registry.observe(now);
        let buffer = seen.part(DATABASE);
        Self {
            buffer: buffer.and_then(|part| part.snapshot().cloned()).unwrap_or_default(),
            work: buffer.and_then(|part| part.shares),
            lines: number(&seen, &LINES),
            bad_lines: number(&seen, &BAD_LINES),
        }
    }
}

fn number(seen: &Observation, family: &'static Family) -> u64 {
    let own = seen.part(INPUT).into_iter().flat_map(|part| &part.reading.metrics);
    own.filter(|metric| metric.family == family).map(|metric| metric.as_f64() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backpressure::BackpressureConfig;
    use backpressure::core::{BoundedBuffer, Moved, Recorder, Tag, Work};

    use super::*;

    #[test]
    fn the_view_sees_the_lines_the_buffer_and_where_the_time_goes() {
        let (tally, config) = (Arc::new(Tally::default()), BackpressureConfig::default());
        let mut recorder = Recorder::new(&config, Instant::now, true);
        let mut buffer = BoundedBuffer::new(&config);
        let registry = registry(&tally, recorder.gauge()).unwrap();
        recorder.works(Work::Busy.into());
        let start = Instant::now();
        assert_eq!((Seen::at(start, &registry).lines, Seen::at(start, &registry).buffer.counts.queued), (0, 0));
        (0..3).for_each(|_| tally.line());
        tally.bad("x", 2, &"no");
        assert!(buffer.offer((), Tag::default()).is_accepted());
        let _ = recorder.update(&buffer, Moved::NOTHING);
        let seen = Seen::at(start + Duration::from_secs(60), &registry);
        assert_eq!((seen.lines, seen.bad_lines, seen.buffer.counts.queued), (3, 1, 1));
        assert!(seen.work.is_some_and(|work| work.busy > 0.99), "{seen:?}");
    }
}
