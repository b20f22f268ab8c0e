//! Measures the benches of this workspace beside the field, and writes down how they compare.
//!
//! ```text
//!  bench programs ──▶ suite ──▶ measure ──▶ Run ──▶ comparison ──┬─▶ markdown ──▶ report.md, README.md
//!  (criterion)        what      rounds,     rows    tables,      ├─▶ html, plot ▶ report.html
//!                     there is  interleaved │       ratios       └─▶ progress   ▶ what got slower
//!                                           ▼
//!                                     saved/NAME.json
//! ```
//!
//! It is started by `cargo xtask bench`, which says what the arguments are.
#![allow(unreachable_pub, reason = "a program exports nothing")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on its streams")]

mod args;
mod comparison;
mod html;
mod id;
mod machine;
mod markdown;
mod measure;
mod pace;
mod paths;
mod plot;
mod progress;
mod readme;
mod run;
mod stats;
mod suite;
mod targets;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::args::{Args, HELP};
use crate::comparison::Comparison;
use crate::machine::Machine;
use crate::measure::measure;
use crate::pace::Pace;
use crate::readme::Readme;
use crate::run::Run;
use crate::suite::Suite;

/// The name under which the last run is saved, whatever else it is saved under.
const LATEST: &str = "latest";

fn main() -> ExitCode {
    match Args::parse(lexopt::Parser::from_env()).and_then(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(args: Args) -> Result<()> {
    if args.help {
        print!("{HELP}");
        return Ok(());
    }
    // What is not there should be missed before a quarter of an hour is spent.
    let before = args.against.as_deref().map(Run::load).transpose()?;
    let readme = args.readme.then(Readme::open).transpose()?;
    let run = match &args.from {
        Some(name) => Run::load(name)?,
        None => measured(&args)?,
    };
    if let Some(name) = &args.save {
        run.save(name)?;
    }
    write(&run)?;
    if let Some(before) = before {
        print!("{}", progress::Progress::between(&before, &run));
    }
    if let Some(readme) = readme {
        ensure!(run.filter.is_none(), "the README shows all benches, and this is a run of some");
        readme.replace(&markdown::readme(&run))?;
        println!("README.md: the table between the markers is that of this run");
    }
    Ok(())
}

fn measured(args: &Args) -> Result<Run> {
    let suite = Suite::build()?.filter(args.filter.as_deref());
    ensure!(!suite.functions.is_empty(), "no bench has `{}` in its name", args.filter.as_deref().unwrap_or_default());
    let pace = if args.quick { Pace::quick(suite.functions.len()) } else { Pace::THOROUGH };
    let run = Run {
        command: args.command(),
        filter: args.filter.clone(),
        machine: Machine::look(),
        rows: measure(&suite, &pace)?,
    };
    run.save(LATEST)?;
    Ok(run)
}

/// The table to the terminal, and the report in both forms.
fn write(run: &Run) -> Result<()> {
    let comparison = Comparison::of(&run.rows);
    println!("{}", markdown::summary(&comparison));
    for (file, text) in
        [("report.md", markdown::report(run, &comparison)), ("report.html", html::report(run, &comparison)?)]
    {
        let path = paths::output().join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written: target/bench/{file}");
    }
    Ok(())
}
