//! The report as Markdown, and the part of it that the README shows.

use std::fmt::Write;

use crate::comparison::{Case, Comparison, Entry};
use crate::id::Role;
use crate::run::Run;
use crate::stats::{digits, time};
use crate::targets::{self, Reached};

/// All of it.
pub fn report(run: &Run, comparison: &Comparison<'_>) -> String {
    let mut text = format!("# Benchmarks\n\n{}\n\n{}\n\n{}\n\n## In short\n\n", about(run), reading(), peers(run));
    text.push_str(&summary(comparison));
    text.push_str(&targets(run, comparison));
    for function in &comparison.functions {
        let _ = write!(text, "\n## {}\n\n", cell(function.name));
        text.push_str(
            "| case | | median | spread | by the best peer | by the floor |\n|---|---|---:|---:|---:|---:|\n",
        );
        for case in &function.cases {
            let mut name = case.name;
            for entry in &case.rows {
                let _ =
                    writeln!(text, "| {} | {} |", cell(std::mem::take(&mut name)), columns(case, entry).join(" | "));
            }
        }
    }
    text
}

/// Where, when, of what and how.
pub fn about(run: &Run) -> String {
    let machine = &run.machine;
    format!(
        "`{}`, {}, commit {}, {}, {} cores, {}, {}. Median of {} rounds.",
        run.command,
        machine.date,
        machine.commit,
        machine.cpu,
        machine.cores,
        machine.os,
        machine.rustc,
        run.rounds()
    )
}

/// How to read the tables.
pub const fn reading() -> &'static str {
    "Times are for one item or call. All rows of a case do the same work, in turns, and every item is consumed and \
     checked. The spread is from the fastest round to the slowest. *By the best peer* is divided by the fastest peer that \
     does the same for its user, round by round, so that below 1 is faster; a row with a parenthesis does something else, which the \
     parenthesis names, and is shown for orientation. *By the floor* is divided by what the thing is made of at least, \
     measured in the same run."
}

/// Who was measured beside us.
pub fn peers(run: &Run) -> String {
    format!("Peers: {}.", run.machine.peers.join(", "))
}

/// The columns of a row after the first, as Markdown.
pub fn columns(case: &Case<'_>, entry: &Entry<'_>) -> [String; 5] {
    let by = |other: Option<&Entry<'_>>| other.map_or(String::new(), |other| digits(entry.row.by(other.row)));
    let name = match entry.role {
        Role::Ours => format!("**{}**", cell(entry.id.label())),
        Role::Floor => format!("*{}*", cell(entry.id.label())),
        Role::Peer | Role::Other => cell(entry.id.label()),
    };
    let is_floor = entry.role == Role::Floor;
    let spread = format!("{} to {}", time(entry.row.low()), time(entry.row.high()));
    [
        name,
        time(entry.row.nanos()),
        spread,
        by(case.peer().filter(|_| !is_floor)),
        by(case.floor().filter(|_| !is_floor)),
    ]
}

/// One line for each case that has a peer.
pub fn summary(comparison: &Comparison<'_>) -> String {
    let mut text = String::from("| | ours | best peer | | ratio |\n|---|---:|---|---:|---:|\n");
    for (function, case) in comparison.cases() {
        let (Some(ours), Some(peer), Some(ratio)) = (case.ours(), case.peer(), case.ratio()) else { continue };
        let ratio = if ratio > 1.0 { format!("**{}**", digits(ratio)) } else { digits(ratio) };
        let (ours, theirs) = (time(ours.row.nanos()), time(peer.row.nanos()));
        let name = cell(&format!("{function}: {}", case.name));
        let _ = writeln!(text, "| {name} | {ours} | {} | {theirs} | {ratio} |", cell(peer.id.label()));
    }
    text
}

/// What was aimed at beside what was reached; empty for a run that has no such rows.
fn targets(run: &Run, comparison: &Comparison<'_>) -> String {
    let reached = targets::reached(run, comparison);
    if reached.is_empty() {
        return String::new();
    }
    let mut text =
        String::from("\n## Targets\n\n| | against | target | reached | why not |\n|---|---|---:|---:|---|\n");
    for Reached { name, against, target, reached, is_met, why } in reached {
        let reached = if is_met { reached } else { format!("**{reached}**") };
        let _ = writeln!(text, "| {} | {} | {target} | {reached} | {} |", cell(&name), cell(&against), cell(why));
    }
    text
}

/// What the README shows.
pub fn readme(run: &Run) -> String {
    let comparison = Comparison::of(&run.rows);
    format!(
        "{}\nTimes are for one item or call; below 1 ours is faster, **bold** it is not.\n\n{}",
        about(run),
        summary(&comparison)
    )
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::made_up;

    fn run() -> Run {
        made_up(&[
            ("send/one | two/backpressure", &[30.0, 31.0, 35.0]),
            ("send/one | two/tokio", &[62.0, 62.0, 62.0]),
            ("send/one | two/kanal (loses items)", &[20.0, 20.0, 20.0]),
            ("send/one | two/floor: lock", &[15.5, 15.5, 15.5]),
            ("call/64 callers/backpressure", &[150.0]),
            ("call/64 callers/by hand", &[100.0]),
            ("gauge/state/backpressure", &[1.0]),
        ])
    }

    #[test]
    fn the_report_says_where_it_comes_from_and_shows_every_row() {
        let run = run();
        let text = report(&run, &Comparison::of(&run.rows));
        for part in
            ["cargo xtask bench", "2026-01-31", "0123456789", "Abacus <7>, 2 cores", "rustc 1.85.0", "kanal 0.1.1"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        for line in [
            "## send",
            "| one \\| two | **backpressure** | 31.0 ns | 30.0 ns to 35.0 ns | 0.50 | 2.00 |",
            "|  | kanal (loses items) | 20.0 ns | 20.0 ns to 20.0 ns | 0.32 | 1.29 |",
            "|  | tokio | 62.0 ns | 62.0 ns to 62.0 ns | 1.00 | 4.00 |",
            "|  | *lock* | 15.5 ns | 15.5 ns to 15.5 ns |  |  |",
            "| state | **backpressure** | 1.00 ns | 1.00 ns to 1.00 ns |  |  |",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }

    #[test]
    fn the_readme_shows_what_is_won_and_what_is_lost() {
        let text = readme(&run());
        assert!(text.contains("| send: one \\| two | 31.0 ns | tokio | 62.0 ns | 0.50 |"), "{text}");
        assert!(text.contains("| call: 64 callers | 150 ns | by hand | 100 ns | **1.50** |"), "{text}");
        assert!(!text.contains("gauge"), "nobody to compare with: {text}");
    }
}
