//! What a picture of the live view shows, and the same in a line of plain text.

use std::time::Duration;

use backpressure::core::WorkShares;
use backpressure::{DropReason, Snapshot};

use crate::history::History;
use crate::human::{count, some_time, time};
use crate::rates::{Rates, lost};

/// Everything that a picture shows.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    pub(crate) elapsed: Duration,
    pub(crate) snapshot: &'a Snapshot,
    /// Where the time of the flushes went in the last seconds.
    pub(crate) work: Option<WorkShares>,
    pub(crate) rates: Rates,
    /// The whole run.
    pub(crate) history: &'a History,
    /// Events a second that are read. `None` if it is flat out.
    pub(crate) pace: Option<f64>,
    pub(crate) lines: u64,
    pub(crate) bad_lines: u64,
    pub(crate) stalled: bool,
    /// Whether a signal or a key has stopped the intake.
    pub(crate) stopping: bool,
}

impl Frame<'_> {
    /// One line of plain text.
    pub(crate) fn plain(&self) -> String {
        let Snapshot { counts, flush, .. } = self.snapshot;
        let mut line = format!(
            "{:5.1} s  {:<8} {:>4.0} %  in {:>9}  out {:>9}  delivered {:>9}  lost {:>7}  flush p50 {:>7} p99 {:>7}  interval {:>7}  batch {}",
            self.elapsed.as_secs_f64(),
            self.snapshot.state,
            self.snapshot.utilization * 100.0,
            rate(self.rates.received),
            rate(self.rates.delivered),
            count(counts.delivered),
            count(lost(counts)),
            some_time(flush.p50),
            some_time(flush.p99),
            time(flush.interval),
            flush.batch_items,
        );
        for (reason, items) in self.by_reason() {
            line += &format!("  {reason} {}", count(items));
        }
        if self.stalled {
            line += "  database stalled";
        }
        if self.stopping {
            line += "  stopping";
        }
        line
    }

    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.snapshot.counts.lost(reason)))
            .filter(|&(_, items)| items > 0)
    }
}

fn rate(per_second: f64) -> String {
    format!("{}/s", count(per_second.round() as u64))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn frame<'a>(snapshot: &'a Snapshot, history: &'a History) -> Frame<'a> {
        Frame {
            title: "block",
            elapsed: Duration::from_millis(1234),
            snapshot,
            work: Some(WorkShares { idle: 0.25, busy: 0.75, blocked: 0.0 }),
            rates: Rates { received: 1234.4, delivered: 1000.0, lost: 0.0 },
            history,
            pace: Some(5000.0),
            lines: 10,
            bad_lines: 1,
            stalled: true,
            stopping: true,
        }
    }

    #[test]
    fn a_plain_line_says_how_things_are_without_escapes() {
        let (snapshot, history) = (Snapshot::default(), History::default());
        let line = frame(&snapshot, &history).plain();
        assert!(line.starts_with("  1.2 s  normal      0 %  in   1,234/s  out   1,000/s"), "{line}");
        assert!(line.ends_with("database stalled  stopping") && !line.contains('\x1b'), "{line}");
    }
}
