//! The numbers, as Markdown.

use crate::goals::{Ceiling, GOALS};
use crate::lab::{self, Cell};
use crate::metrics::Outcome;
use crate::policy::Policy;
use crate::scenario::{DISTURBED, LOADS};
use crate::table::markdown;

const ABOUT: &str = "\
The server answers 1000 calls a second: each takes 2 ms of one of two cores and waits for 10 ms; a refusal takes 20 µs. An
answer is good within 100 ms of the call. Calls arrive at random (Poisson). All limits but `none` have the same short queue
in front of them. *Static* limits are guesses: 24 is a good one for this server, 4 and 240 are wrong ones.
";

pub fn simulated(cells: &[Cell], ceilings: &[Ceiling], seeds: u64) -> String {
    let mut report = format!("# Overload, simulated\n\n{ABOUT}\nMedians of {seeds} seeds.\n");
    let loads: [Section; 3] = [
        ("Good answers per second, by offered load", |outcome| whole(outcome.goodput)),
        ("p99 of the answers in ms, by offered load", |outcome| whole(outcome.p99)),
        ("Refused, in % of the calls", |outcome| percent(outcome.shed)),
    ];
    for (title, cell) in loads {
        report += &format!("\n## {title}\n\n{}", over_load(cells, cell));
    }
    report += "\n## When something happens\n\n";
    report += "Good answers per second · p50 / p99 in ms · refused in % · seconds until it is back.\n";
    for scenario in DISTURBED {
        let rows: Vec<_> = Policy::ALL
            .iter()
            .filter_map(|&policy| Some(row(policy.name(), lab::find(cells, scenario.name, policy)?)))
            .collect();
        if !rows.is_empty() {
            let head = ["policy", "good/s", "p50", "p99", "refused", "back after"].map(Into::into);
            report += &format!("\n### {}\n\n{}\n\n{}", scenario.name, scenario.about, markdown(&head, &rows));
        }
    }
    report += &format!("\n## Goals of the default\n\n{}", goals(cells, ceilings));
    report
}

type Section = (&'static str, fn(&Outcome) -> String);

fn over_load(cells: &[Cell], text: fn(&Outcome) -> String) -> String {
    let head: Vec<_> = ["load".into()].into_iter().chain(Policy::ALL.map(Policy::name)).collect();
    let rows = LOADS.iter().map(|(load, scenario)| {
        let cell = |policy| lab::find(cells, scenario.name, policy).map_or_else(String::new, text);
        [format!("{load} ×")].into_iter().chain(Policy::ALL.map(cell)).collect()
    });
    markdown(&head, &rows.collect::<Vec<_>>())
}

fn row(name: String, outcome: &Outcome) -> Vec<String> {
    let back = outcome.recovery.map_or_else(|| "–".into(), |seconds| format!("{seconds:.1} s"));
    vec![name, whole(outcome.goodput), whole(outcome.p50), whole(outcome.p99), percent(outcome.shed), back]
}

fn goals(cells: &[Cell], ceilings: &[Ceiling]) -> String {
    let head = ["scenario", "Fast", "best static", "its limit", "of it", "goal", "and a second"].map(Into::into);
    let row = |goal: &crate::goals::Goal| {
        let reached = lab::find(cells, goal.scenario, Policy::Fast)?;
        let best = ceilings.iter().find(|ceiling| ceiling.scenario == goal.scenario)?;
        Some(vec![
            goal.scenario.into(),
            format!("{:.1}", reached.goodput),
            format!("{:.1}", best.goodput),
            best.limit.to_string(),
            percent(reached.goodput / best.goodput),
            format!("≥ {}", percent(goal.of_best)),
            if goal.goodput > 0.0 { format!("≥ {}", goal.goodput) } else { "–".into() },
        ])
    };
    let text = "The best of eleven static limits, chosen for each scenario by hindsight, is what could be had.\n\n";
    format!("{text}{}", markdown(&head, &GOALS.iter().filter_map(row).collect::<Vec<_>>()))
}

fn whole(number: f64) -> String {
    if number.is_finite() { format!("{number:.0}") } else { "–".into() }
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".into(),
        share => format!("{share:.2} %"),
    }
}
