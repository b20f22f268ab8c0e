//! The books at the end: where every line and every event went, and whether the database agrees.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use backpressure::{DrainReport, DropReason, Snapshot, State, Strategy};

use crate::event::Event;
use crate::human::{count, some_time, time};
use crate::store::Written;
use crate::tally::Intake;

/// How a run ended. The last line is apart, as it may be coloured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) elapsed: Duration,
    pub(crate) interrupted: bool,
    pub(crate) intake: Intake,
    /// Why the input could not be read to its end.
    pub(crate) read: Result<(), String>,
    /// Taken after the drain.
    pub(crate) snapshot: Snapshot,
    pub(crate) drain: Arc<DrainReport<Event>>,
    /// What the shutdown says of its stages.
    pub(crate) shutdown: String,
    /// Or why the rows could not be counted.
    pub(crate) written: Result<Written, String>,
    pub(crate) database: String,
    /// Why the last failed batch failed.
    pub(crate) last_error: Option<String>,
}

impl Report {
    /// Whether every line, offer and row that is known of is accounted for.
    pub(crate) fn balances(&self) -> bool {
        self.intake_balances() && self.ledger_balances() && self.drain_agrees() && self.rows_agree()
    }

    fn intake_balances(&self) -> bool {
        self.intake.balances(self.snapshot.counts.received)
    }

    fn ledger_balances(&self) -> bool {
        let counts = &self.snapshot.counts;
        counts.balances() && counts.queued == 0 && counts.in_flight == 0
    }

    fn drain_agrees(&self) -> bool {
        self.snapshot.counts.lost(DropReason::DrainDeadline)
            == (self.drain.abandoned.len() + self.drain.unanswered) as u64
    }

    fn rows_agree(&self) -> bool {
        let delivered = self.snapshot.counts.delivered;
        self.written.as_ref().map_or(true, |written| written.rows == delivered + written.unclaimed)
    }

    fn write_intake(&self, out: &mut String) -> fmt::Result {
        let intake = &self.intake;
        writeln!(out, "\nINTAKE")?;
        entry(out, "lines read", intake.lines, "")?;
        entry(out, "  events", intake.events, "")?;
        entry(out, "  blank", intake.blank, "")?;
        entry(out, "  bad", intake.bad, if intake.bad > 0 { "listed below" } else { "" })?;
        let offers = format!("events + {} offered again", count(intake.offered_again));
        entry(out, "offers made", intake.events + intake.offered_again, &offers)?;
        if intake.given_up > 0 {
            entry(out, "  given up", intake.given_up, "handed back for the last time")?;
        }
        if intake.too_late > 0 {
            entry(out, "  too late", intake.too_late, "handed back because the intake had ended")?;
        }
        verdict(out, self.intake_balances(), "every line is an event, blank or bad; every offer reached the controller")
    }

    fn write_ledger(&self, out: &mut String) -> fmt::Result {
        let counts = &self.snapshot.counts;
        writeln!(out, "\nLEDGER OF THE CONTROLLER ({})", self.snapshot.strategy)?;
        entry(out, "received", counts.received, "")?;
        entry(out, "= delivered", counts.delivered, "")?;
        entry(out, "+ rejected", counts.rejected, handed_back(self.snapshot.strategy))?;
        for reason in DropReason::ALL {
            let items = counts.lost(reason);
            if items > 0 {
                let what = format!("+ {reason}");
                entry(out, &what, items, meaning(reason))?;
            }
        }
        entry(out, "+ queued", counts.queued, "")?;
        entry(out, "+ in flight", counts.in_flight, "")?;
        verdict(out, self.ledger_balances(), "every offer has one fate")
    }

    fn write_database(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\nDATABASE {}", self.database)?;
        let written = match &self.written {
            Ok(written) => written,
            Err(error) => return writeln!(out, "  ✗ the rows could not be counted: {error}"),
        };
        entry(out, "rows added", written.rows, "")?;
        if written.unclaimed > 0 {
            entry(
                out,
                "  unclaimed",
                written.unclaimed,
                "committed after the drain's deadline: in the database, reported as abandoned",
            )?;
        }
        verdict(out, self.rows_agree(), "as many rows as were delivered")
    }

    fn write_drain(&self, out: &mut String) -> fmt::Result {
        let drain = &self.drain;
        let before = if self.interrupted { "stopped by a signal" } else { "at the end of the input" };
        writeln!(out, "\nDRAIN {before}, took {}", time(drain.elapsed))?;
        entry(out, "delivered", drain.delivered, "")?;
        entry(out, "failed", drain.failed, "")?;
        entry(out, "abandoned", drain.abandoned.len() as u64, "handed back in the report of the drain")?;
        if let (Some(first), Some(last)) = (drain.abandoned.first(), drain.abandoned.last()) {
            writeln!(out, "  from {} to {}", first.id, last.id)?;
        }
        for line in self.shutdown.lines() {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    }

    fn write_numbers(&self, out: &mut String) -> fmt::Result {
        let Snapshot { flush, .. } = &self.snapshot;
        let rows = self.written.as_ref().map_or(0, |written| written.rows);
        let a_second = rows as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        writeln!(out, "\nNUMBERS")?;
        entry(out, "rows a second", a_second as u64, &format!("{} in {}", count(rows), time(self.elapsed)))?;
        let size = flush.items as f64 / flush.batches().max(1) as f64;
        let latency = format!("p50 {}, p99 {}", some_time(flush.p50), some_time(flush.p99));
        entry(out, "batches", flush.batches(), &format!("of {size:.0} events on average; {latency}"))?;
        let states = State::ALL.into_iter().map(|state| (state, self.snapshot.time_in(state)));
        let states = states.filter(|&(_, spent)| spent >= Duration::from_millis(1));
        let states: Vec<_> = states.map(|(state, spent)| format!("{state} {}", time(spent))).collect();
        entry(out, "changes of state", self.snapshot.transitions, &states.join(", "))
    }

    fn write_troubles(&self, out: &mut String) -> fmt::Result {
        if let Err(error) = &self.read {
            writeln!(out, "\nINPUT\n  {error}")?;
        }
        if let Some(error) = &self.last_error {
            writeln!(out, "\nLAST FAILED BATCH\n  {error}")?;
        }
        if !self.intake.broken.is_empty() {
            writeln!(out, "\nBROKEN CONNECTIONS")?;
            for broken in &self.intake.broken {
                writeln!(out, "  {broken}")?;
            }
        }
        if self.intake.bad_lines.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nBAD LINES")?;
        let mut listed = 0;
        for ((origin, number), line) in &self.intake.bad_lines {
            listed += line.times;
            let times = if line.times > 1 { format!(" ({} times)", count(line.times)) } else { String::new() };
            writeln!(out, "  {origin}:{number}: {}{times}", line.why)?;
        }
        if listed < self.intake.bad {
            writeln!(out, "  and {} more", count(self.intake.bad - listed))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write_numbers(&mut out)?;
        self.write_intake(&mut out)?;
        self.write_ledger(&mut out)?;
        self.write_drain(&mut out)?;
        self.write_database(&mut out)?;
        self.write_troubles(&mut out)?;
        f.write_str(&out)
    }
}

fn entry(out: &mut String, what: &str, number: u64, note: &str) -> fmt::Result {
    writeln!(out, "{}", format!("  {what:<18} {:>14}   {note}", count(number)).trim_end())
}

fn verdict(out: &mut String, holds: bool, what: &str) -> fmt::Result {
    writeln!(out, "  {} {what}", if holds { "✓" } else { "✗ NOT TRUE:" })
}

fn handed_back(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Block { .. } => "handed back after the longest wait (and offered again), or too late",
        Strategy::Reject => "handed back at once, offered again (twice at most) when there was room",
        _ => "handed back",
    }
}

fn meaning(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Overflow => "new, came to a full buffer",
        DropReason::Evicted => "queued, made room for another",
        DropReason::Sampled => "thinned out under pressure",
        DropReason::TimedOut => "waited too long",
        DropReason::Closed => "the flush target was gone",
        DropReason::Expired => "too old",
        DropReason::DrainDeadline => "not delivered by the drain's deadline",
        DropReason::Failed => "the database refused them, retries and all",
        _ => "",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::tally::Tally;
    use backpressure::{BackpressureConfig, BackpressureController};

    /// The report of a run of three events, of which so many rows are found.
    pub(crate) async fn report(rows: u64) -> Report {
        let tally = Tally::default();
        let controller = BackpressureController::builder(BackpressureConfig::default())
            .flush_fn(async |_: Vec<Event>| Ok::<_, std::io::Error>(()))
            .spawn()
            .unwrap();
        for line in include_str!("../data/earthquakes.ndjson").lines().take(3) {
            tally.line();
            tally.event();
            controller.push(Event::parse(line).unwrap()).await.unwrap();
        }
        let drain = controller.drain(Duration::MAX).await;
        Report {
            elapsed: Duration::from_secs(1),
            interrupted: false,
            intake: tally.intake(),
            read: Ok(()),
            snapshot: controller.snapshot(),
            drain: Arc::new(drain),
            shutdown: String::new(),
            written: Ok(Written { rows, unclaimed: 0 }),
            database: "x.db".into(),
            last_error: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn books_that_balance_say_so() {
        let report = report(3).await;
        assert!(report.balances());
        assert!(!report.to_string().contains('✗'), "{report}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_row_a_missing_line_and_a_missing_offer_are_noticed() {
        let missing_row = report(2).await;
        assert!(missing_row.to_string().contains("✗ NOT TRUE: as many rows as were delivered"));
        let mut missing_line = report(3).await;
        missing_line.intake.lines += 1;
        let mut missing_offer = report(3).await;
        missing_offer.snapshot.counts.received += 1;
        for report in [missing_row, missing_line, missing_offer] {
            assert!(!report.balances());
        }
    }
}
