//! What got slower or faster from one run to another, beyond the noise.
//!
//! The peers and the floors are the same code in both runs. What they changed by is the machine's doing, and is taken out
//! of what ours changed by.

use std::fmt;

use crate::id::{Id, Role};
use crate::run::{Row, Run};
use crate::stats::{digits, median, time};

/// Less than this is no change, however still the machine was.
const LEAST: f64 = 0.05;

#[derive(Debug)]
pub struct Progress<'a> {
    before: &'a Run,
    /// How much slower the machine was in the second run.
    drift: f64,
    /// The most first.
    slower: Vec<Change<'a>>,
    faster: Vec<Change<'a>>,
    same: usize,
    /// In one run only.
    unmatched: usize,
}

#[derive(Debug)]
struct Change<'a> {
    before: &'a Row,
    after: &'a Row,
    /// Without the machine's part in it.
    factor: f64,
}

impl<'a> Progress<'a> {
    pub fn between(before: &'a Run, after: &'a Run) -> Self {
        let is_ours = |row: &Row| Id::parse(&row.id).role() == Role::Ours;
        let matched = |after: &'a Row| Some((before.rows.iter().find(|before| before.id == after.id)?, after));
        let (ours, rest): (Vec<_>, Vec<_>) = after.rows.iter().partition(|row| is_ours(row));
        let drifts = rest.into_iter().filter_map(matched).map(|(before, after)| after.nanos() / before.nanos());
        let drift = Some(median(drifts)).filter(|drift| drift.is_finite()).unwrap_or(1.0);

        let mut progress = Self { before, drift, slower: Vec::new(), faster: Vec::new(), same: 0, unmatched: 0 };
        let were_ours = before.rows.iter().filter(|row| is_ours(row)).count();
        let (mut both, all) = (0, ours.len());
        for (before, after) in ours.into_iter().filter_map(matched) {
            both += 1;
            let change = Change { before, after, factor: after.nanos() / before.nanos() / drift };
            if change.factor > 1.0 + LEAST && after.low() / drift > before.high() {
                progress.slower.push(change);
            } else if change.factor < 1.0 - LEAST && after.high() / drift < before.low() {
                progress.faster.push(change);
            } else {
                progress.same += 1;
            }
        }
        progress.unmatched = were_ours + all - 2 * both;
        progress.slower.sort_by(|a, b| b.factor.total_cmp(&a.factor));
        progress.faster.sort_by(|a, b| a.factor.total_cmp(&b.factor));
        progress
    }
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.before.machine;
        writeln!(f, "Against {} of {}:", machine.commit, machine.date)?;
        writeln!(f, "  the machine, by the peers and floors: × {}", digits(self.drift))?;
        for (word, changes) in [("slower", &self.slower), ("faster", &self.faster)] {
            for Change { before, after, factor } in changes {
                let (was, is) = (time(before.nanos()), time(after.nanos()));
                writeln!(f, "  {word} × {}: {} ({was}, now {is})", digits(*factor), after.id)?;
            }
        }
        write!(f, "  {} slower, {} faster, ", self.slower.len(), self.faster.len())?;
        writeln!(f, "{} within the noise, {} in one run only", self.same, self.unmatched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::made_up;

    const OURS: &str = "a/b/backpressure";

    fn between(before: &[f64], after: &[f64], peer: f64) -> (usize, usize, usize) {
        let before = made_up(&[(OURS, before), ("a/b/peer", &[100.0])]);
        let after = made_up(&[(OURS, after), ("a/b/peer", &[peer])]);
        let progress = Progress::between(&before, &after);
        (progress.slower.len(), progress.same, progress.faster.len())
    }

    #[test]
    fn ranges_that_do_not_touch_and_differ_enough_are_a_change() {
        assert_eq!(between(&[10.0, 11.0, 12.0], &[13.0, 14.0, 15.0], 100.0), (1, 0, 0));
        assert_eq!(between(&[13.0, 14.0, 15.0], &[10.0, 11.0, 12.0], 100.0), (0, 0, 1));
    }

    #[test]
    fn ranges_that_overlap_are_noise() {
        assert_eq!(between(&[10.0, 11.0, 14.0], &[13.0, 15.0, 16.0], 100.0), (0, 1, 0));
        assert_eq!(between(&[10.0, 15.0, 16.0], &[9.0, 9.0, 11.0], 100.0), (0, 1, 0));
    }

    #[test]
    fn what_hardly_differs_is_no_change_on_a_still_machine() {
        assert_eq!(between(&[100.0, 100.0], &[104.0, 104.0], 100.0), (0, 1, 0));
        assert_eq!(between(&[100.0, 100.0], &[96.0, 96.0], 100.0), (0, 1, 0));
    }

    #[test]
    fn a_slower_machine_is_no_change_and_hides_none() {
        assert_eq!(between(&[10.0, 11.0], &[20.0, 22.0], 200.0), (0, 1, 0));
        assert_eq!(between(&[10.0, 11.0], &[10.0, 11.0], 200.0), (0, 0, 1));
    }

    #[test]
    fn what_is_in_one_run_only_is_counted_and_peers_are_not() {
        let before = made_up(&[(OURS, &[1.0]), ("gone/b/backpressure", &[1.0]), ("a/b/gone", &[1.0])]);
        let after = made_up(&[(OURS, &[1.0]), ("new/b/backpressure", &[1.0])]);
        let text = Progress::between(&before, &after).to_string();
        assert!(text.contains("0 slower, 0 faster, 1 within the noise, 2 in one run only"), "{text}");
        assert!(text.contains("× 1.00"), "no peer to tell the drift by: {text}");
    }

    #[test]
    fn the_text_names_the_worst_first() {
        let before = made_up(&[("a/b/backpressure", &[10.0]), ("a/c/backpressure", &[10.0])]);
        let after = made_up(&[("a/b/backpressure", &[20.0]), ("a/c/backpressure", &[40.0])]);
        let text = Progress::between(&before, &after).to_string();
        let (worst, other) = (text.find("slower × 4.00: a/c").unwrap(), text.find("slower × 2.00: a/b").unwrap());
        assert!(worst < other && text.contains("(10.0 ns, now 40.0 ns)"), "{text}");
    }
}
