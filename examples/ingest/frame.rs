//! One picture of the live view: a pure function of what is known.

use std::time::Duration;

use backpressure::{DropReason, Snapshot, State};
use crossterm::style::{StyledContent, Stylize};

use crate::human::{count, some_time, time};
use crate::rates::{Rates, lost};

/// A line of differently styled pieces.
pub(crate) type Line = Vec<StyledContent<String>>;

const BAR: usize = 50;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PART_OF_A_CELL: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Everything that a picture shows.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    pub(crate) elapsed: Duration,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) rates: Rates,
    /// Utilization and state of the last pictures, oldest first.
    pub(crate) history: &'a [(f64, State)],
    pub(crate) lines: u64,
    pub(crate) bad_lines: u64,
    pub(crate) stalled: bool,
    /// Whether a signal has stopped the intake.
    pub(crate) stopping: bool,
}

impl Frame<'_> {
    /// The picture for a terminal.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let Snapshot { counts, flush, .. } = self.snapshot;
        let title = format!("  {}  {:.1} s  ", self.title, self.elapsed.as_secs_f64());
        let mut title = vec![text("ingest").bold(), text(title).dim()];
        if self.stalled {
            title.push(text("the database does not answer  ").red().bold());
        }
        if self.stopping {
            title.push(text("stopping").bold());
        }
        let mut state = vec![self.badge(), text("  ")];
        state.extend(self.bar());
        state.push(text(format!(" {:>4.0} %", self.snapshot.utilization * 100.0)));
        let mut history = vec![text(format!("{:<12}", "last 5 s")).dim()];
        history.extend(self.history.iter().map(|&(utilization, state)| {
            let eighths = (utilization.clamp(0.0, 1.0) * 8.0).ceil() as usize;
            paint(EIGHTHS[eighths.max(1)].to_string(), state)
        }));
        let mut lines = vec![title, vec![], state, history, vec![]];
        lines.push(row(
            "buffer",
            [
                ("queued", count(counts.queued)),
                ("in flight", count(counts.in_flight)),
                ("oldest", some_time(self.snapshot.oldest_age.filter(|_| counts.queued > 0))),
            ],
        ));
        lines.push(row(
            "rates",
            [("in", rate(self.rates.received)), ("out", rate(self.rates.delivered)), ("lost", rate(self.rates.lost))],
        ));
        lines.push(row(
            "totals",
            [("in", count(counts.received)), ("out", count(counts.delivered)), ("lost", count(lost(counts)))],
        ));
        lines.push(row(
            "flush",
            [("p50", some_time(flush.p50)), ("p99", some_time(flush.p99)), ("last", some_time(flush.last))],
        ));
        lines.push(row(
            "pace",
            [
                ("batch", count(flush.batch_items as u64)),
                ("interval", time(flush.interval)),
                ("wait p99", some_time(self.snapshot.producer_wait_p99)),
            ],
        ));
        lines.push(row(
            "input",
            [
                ("lines", count(self.lines)),
                ("bad", count(self.bad_lines)),
                ("waiting", count(self.snapshot.producers_waiting as u64)),
            ],
        ));
        lines.push(self.losses());
        lines
    }

    /// The same in one line of plain text.
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

    fn badge(&self) -> StyledContent<String> {
        let badge = text(format!("{:^10}", self.snapshot.state.to_string().to_uppercase())).bold().black();
        match self.snapshot.state {
            State::Normal => badge.on_green(),
            State::Elevated => badge.on_yellow(),
            State::Critical => badge.on_magenta(),
            State::Blocked => badge.on_red(),
            State::Draining => badge.on_cyan(),
        }
    }

    fn bar(&self) -> Line {
        let eighths = (self.snapshot.utilization.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
        let (full, part) = (eighths / 8, eighths % 8);
        let mut filled = "█".repeat(full);
        if part > 0 {
            filled.push(PART_OF_A_CELL[part]);
        }
        let left = BAR - filled.chars().count();
        vec![paint(filled, self.snapshot.state), text("·".repeat(left)).dim()]
    }

    fn losses(&self) -> Line {
        let mut line = vec![label("losses")];
        let lost: Vec<_> = self.by_reason().map(|(reason, items)| format!("{reason} {}", count(items))).collect();
        line.push(if lost.is_empty() { text("none").green() } else { text(lost.join(" · ")).yellow() });
        line
    }

    fn by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.snapshot.counts.lost(reason)))
            .filter(|&(_, items)| items > 0)
    }
}

fn row(name: &str, cells: [(&str, String); 3]) -> Line {
    let mut line = vec![label(name)];
    for (what, value) in cells {
        line.push(text(format!("{what:<10}")).dim());
        line.push(text(format!("{value:>12}    ")));
    }
    line
}

fn label(name: &str) -> StyledContent<String> {
    text(format!("{name:<12}")).bold()
}

fn text(text: impl Into<String>) -> StyledContent<String> {
    text.into().stylize()
}

fn paint(text: String, state: State) -> StyledContent<String> {
    match state {
        State::Normal => text.green(),
        State::Elevated => text.yellow(),
        State::Critical => text.magenta(),
        State::Blocked => text.red(),
        State::Draining => text.cyan(),
    }
}

fn rate(per_second: f64) -> String {
    format!("{}/s", count(per_second.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(snapshot: &Snapshot) -> Frame<'_> {
        Frame {
            title: "block",
            elapsed: Duration::from_millis(1234),
            snapshot,
            rates: Rates { received: 1234.4, delivered: 1000.0, lost: 0.0 },
            history: &[(0.0, State::Normal), (1.0, State::Blocked)],
            lines: 10,
            bad_lines: 1,
            stalled: true,
            stopping: true,
        }
    }

    fn width(line: &Line) -> usize {
        line.iter().map(|piece| piece.content().chars().count()).sum()
    }

    #[test]
    fn the_picture_keeps_its_shape_whatever_the_numbers() {
        let mut full = Snapshot::default();
        full.utilization = 1.7;
        full.state = State::Blocked;
        full.counts.received = 1 << 40;
        let mut broken = Snapshot::default();
        broken.utilization = f64::NAN;
        for snapshot in [Snapshot::default(), full, broken] {
            let lines = frame(&snapshot).lines();
            assert_eq!(lines.len(), 12);
            assert!(lines.iter().all(|line| width(line) <= 100), "{:?}", lines.iter().map(width).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_plain_line_says_the_same_without_escapes() {
        let line = frame(&Snapshot::default()).plain();
        assert!(line.starts_with("  1.2 s  normal      0 %  in   1,234/s  out   1,000/s"), "{line}");
        assert!(line.ends_with("database stalled  stopping") && !line.contains('\x1b'), "{line}");
    }
}
