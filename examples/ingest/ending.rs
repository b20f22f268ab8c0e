//! How a run ended, for whoever started it.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use backpressure::DropReason;

use crate::human::count;
use crate::report::Report;

/// What `--help` says of the exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    every event was delivered, or given up as the strategy says
  1    it could not begin, its input or database could not be read to the end, or its books do not balance
  2    some events failed, were abandoned by the drain or came too late for it; the last line says how many
  130  a second signal ended it at once";

/// What a process ends with that a signal has ended.
pub(crate) const INTERRUPTED: i32 = 130;

/// What became of the events, in one word. The [exit codes](EXIT_CODES) say what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Delivered,
    Wrong,
    Undelivered,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Delivered => Self::SUCCESS,
            Ending::Wrong => Self::from(1),
            Ending::Undelivered => Self::from(2),
        }
    }
}

impl Ending {
    /// The last line of a report: red, unless all is well.
    pub(crate) fn paint(self, line: &str, is_coloured: bool) -> String {
        if is_coloured && self != Self::Delivered { format!("\x1b[1;31m{line}\x1b[0m") } else { line.to_owned() }
    }
}

/// Whether colours are wanted on standard output: on a terminal, unless `NO_COLOR` is set to anything.
pub(crate) fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Report {
    pub(crate) fn ending(&self) -> Ending {
        if !self.balances() {
            Ending::Wrong
        } else if self.undelivered() > 0 {
            Ending::Undelivered
        } else if self.read.is_err() || self.written.is_err() {
            Ending::Wrong
        } else {
            Ending::Delivered
        }
    }

    /// What is to be known first, and is said last.
    pub(crate) fn last_line(&self) -> String {
        match self.ending() {
            Ending::Delivered => "Everything is accounted for.".to_owned(),
            Ending::Undelivered => {
                let parts =
                    [(self.failed(), "failed"), (self.abandoned(), "abandoned"), (self.intake.too_late, "too late")];
                let parts = parts.iter().filter(|(events, _)| *events > 0);
                let parts: Vec<_> = parts.map(|(events, what)| format!("{} {what}", count(*events))).collect();
                let events = if self.undelivered() == 1 { "event" } else { "events" };
                format!("NOT DELIVERED: {} {events} ({}).", count(self.undelivered()), parts.join(", "))
            }
            Ending::Wrong if !self.balances() => "THE BOOKS DO NOT BALANCE.".to_owned(),
            Ending::Wrong if self.read.is_err() => "THE INPUT COULD NOT BE READ TO ITS END.".to_owned(),
            Ending::Wrong => "THE ROWS COULD NOT BE COUNTED.".to_owned(),
        }
    }

    fn failed(&self) -> u64 {
        self.snapshot.counts.lost(DropReason::Failed)
    }

    fn abandoned(&self) -> u64 {
        let lost = |reason| self.snapshot.counts.lost(reason);
        lost(DropReason::DrainDeadline) + lost(DropReason::Closed)
    }

    /// Events that were read, and neither delivered nor given up as the strategy says.
    fn undelivered(&self) -> u64 {
        self.failed() + self.abandoned() + self.intake.too_late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[tokio::test(start_paused = true)]
    async fn books_decide_first() {
        let (all, too_few) = (report(3).await, report(2).await);
        assert_eq!((all.ending(), &*all.last_line()), (Ending::Delivered, "Everything is accounted for."));
        assert_eq!((too_few.ending(), &*too_few.last_line()), (Ending::Wrong, "THE BOOKS DO NOT BALANCE."));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_or_counted_is_said_last() {
        let mut unread = report(3).await;
        unread.read = Err("no such file".to_owned());
        assert_eq!((unread.ending(), &*unread.last_line()), (Ending::Wrong, "THE INPUT COULD NOT BE READ TO ITS END."));
        let mut uncounted = report(3).await;
        uncounted.written = Err("disk I/O error".to_owned());
        assert_eq!((uncounted.ending(), &*uncounted.last_line()), (Ending::Wrong, "THE ROWS COULD NOT BE COUNTED."));
        for (report, error) in [(unread, "no such file"), (uncounted, "disk I/O error")] {
            assert!(report.to_string().contains(error), "{report}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_were_not_delivered_are_counted_in_the_last_line() {
        let mut report = report(3).await;
        report.intake.too_late = 1;
        assert_eq!(
            (report.ending(), &*report.last_line()),
            (Ending::Undelivered, "NOT DELIVERED: 1 event (1 too late).")
        );
        report.written = Err("disk I/O error".to_owned());
        report.read = Err("no such file".to_owned());
        assert_eq!(report.ending(), Ending::Undelivered, "that is worse than either");
        assert_eq!(Ending::Undelivered.paint("no", true), "\x1b[1;31mno\x1b[0m");
        assert_eq!(Ending::Undelivered.paint("no", false), "no");
        assert_eq!(Ending::Delivered.paint("yes", true), "yes");
    }
}
