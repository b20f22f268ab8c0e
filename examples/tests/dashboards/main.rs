//! Every expression of the board and of the alerts returns data, in a real Prometheus that scrapes running examples. Where there is no
//! Prometheus this is skipped.

#![allow(clippy::print_stderr, reason = "it says why it is skipped")]

mod expressions;
mod prometheus;
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::expressions::Expression;
use crate::prometheus::Prometheus;
use crate::support::running::Running;
use crate::support::serving::serve;

/// How long it may take until the last has data.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_installed = prometheus::is_installed();
    if !is_installed {
        eprintln!("There is no Prometheus here, so the board and the alerts are not tried.");
    }
    let trial = Trial::test("every_expression_of_the_board_and_the_alerts_returns_data", || {
        if prometheus::is_installed() { every_expression() } else { Err("there is no Prometheus here".into()) }
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(!is_installed)]).exit_code()
}

fn every_expression() -> Result<(), Failed> {
    // The second 30 of its minute: the database is slow, so somebody waits and something is lost.
    let mut pipeline =
        Running::start(Command::new(support::path("pipeline-dashboard")).args(["--at", "30", "--seconds", "600"]));
    let line = pipeline.wait_for("/metrics");
    let address = line.trim_start_matches("http://").split('/').next().unwrap_or_default();
    // One with a limit, under three times the load that it bears.
    let server = serve("axum-adaptive");
    let load = ["load", &server.address, "--rate", "300", "--seconds", "600"];
    let _load = Running::start(Command::new(support::path("axum-adaptive")).args(load));
    let prometheus = Prometheus::start(&[address, &server.address]);

    let board = expressions::of_board();
    let alerts = expressions::of_alerts();
    assert!(board.len() >= 15 && alerts.len() >= 8, "{} and {} were found", board.len(), alerts.len());
    let loaded = prometheus.rules();
    assert_eq!(loaded, alerts.iter().map(|alert| alert.name.clone()).collect::<Vec<_>>(), "all rules are loaded");

    let mut waiting: Vec<Expression> = board.into_iter().chain(alerts).collect();
    // Everything before the slow database is blocked by it, so it is the one that is named.
    let (name, text) = ("the bottleneck", "backpressure_bottleneck{stage=\"database\"} == 1");
    waiting.push(Expression { name: name.into(), text: text.into() });
    let begin = Instant::now();
    while !waiting.is_empty() {
        waiting.retain(|expression| !prometheus.has_data(expression));
        if begin.elapsed() > PATIENCE {
            let list: Vec<_> = waiting.iter().map(|Expression { name, text }| format!("{name}: {text}")).collect();
            return Err(format!("without data:\n{}", list.join("\n")).into());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
