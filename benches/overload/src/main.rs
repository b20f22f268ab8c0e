//! The overload lab: what a policy makes of more calls than a server can answer.
//!
//! `cargo xtask overload` runs it. It is a discrete-event simulation under a virtual clock: the same seed gives the same
//! numbers on every machine. What decides in it is not a model of the limiter but the limiter of `backpressure-tower`, the
//! same lines as in production. It fails if the default misses one of its goals, or a rival is no longer what it was;
//! `cargo test` only checks bounds that any good limiter keeps.
//!
//! ```text
//!  arrivals ──▶ run queue ──▶ 2 cores ──▶ Gate ──admitted──▶ half of the CPU time ──▶ wait 10 ms ──┐
//!  (Poisson)        ▲          refused ◀──┘ │                or a pool downstream                 │
//!     ▲             │                  queued: woken later                                        │
//!     └─ retries    └──────────────────────── the other half ◀────────────────────────────────────┘
//! ```
#![allow(unreachable_pub, reason = "a program exports nothing")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on its streams")]

#[cfg(test)]
mod bounds;
mod clock;
mod curves;
mod gate;
mod goals;
mod kinds;
mod lab;
mod metrics;
mod plot;
mod policy;
mod random;
mod report;
mod rivals;
mod scenario;
mod server;
mod simulation;
#[cfg(feature = "sockets")]
mod sockets;
mod table;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::policy::Policy;

const HELP: &str = "\
cargo xtask overload [--kinds | --sockets] [--quick] [--tuning] [--only NAME]

  --kinds     only the kinds of work under the limiters (the heat map), not the scenarios
  --tuning    the kinds with the seeds for tuning instead of those of the report
  --only NAME only the scenarios whose name contains NAME
  --sockets   real servers and clients on two cores, instead of the simulation
  --quick     three seeds instead of ten, and without the half hour; with --sockets, shorter runs
";

/// Relative to the root of the workspace.
const OUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/overload");

#[derive(Debug, Default, PartialEq)]
struct Options {
    is_quick: bool,
    on_sockets: bool,
    of_kinds: bool,
    is_tuning: bool,
    wants_help: bool,
    only: String,
}

impl Options {
    fn parse(mut args: lexopt::Parser) -> Result<Self> {
        let mut options = Self::default();
        while let Some(arg) = args.next()? {
            match arg {
                Long("quick") => options.is_quick = true,
                Long("only") => options.only = args.value()?.string()?,
                Long("kinds") => options.of_kinds = true,
                Long("tuning") => options.is_tuning = true,
                Long("sockets") => options.on_sockets = true,
                Short('h') | Long("help") => options.wants_help = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn run(&self) -> Result<()> {
        if self.wants_help {
            print!("{HELP}");
            return Ok(());
        }
        std::fs::create_dir_all(OUT)?;
        if self.on_sockets {
            return on_sockets(self.is_quick);
        }
        if !self.of_kinds {
            simulate(self.is_quick, &self.only)?;
        }
        self.map_kinds()
    }
}

impl Options {
    fn map_kinds(&self) -> Result<()> {
        let (name, seeds) =
            if self.is_tuning { ("tuning", kinds::TUNING_SEEDS) } else { ("the report", kinds::REPORT_SEEDS) };
        let seeds = if self.is_quick { *seeds.start()..=*seeds.start() + 2 } else { seeds };
        let chosen: Vec<_> = kinds::KINDS.into_iter().filter(|kind| kind.name.contains(&self.only)).collect();
        println!("{} kinds of work …", chosen.len());
        let rows = kinds::run(&chosen, seeds.clone())?;
        let map = kinds::map(&chosen, &rows, &format!("The seeds of {name}: {seeds:?}."));
        std::fs::write(Path::new(OUT).join("kinds.md"), &map)?;
        std::fs::write(Path::new(OUT).join("kinds.svg"), kinds::heat_map(&chosen, &rows))?;
        println!("\n{map}\nwritten to target/overload: kinds.md, kinds.svg");
        Ok(())
    }
}

#[cfg(feature = "sockets")]
fn on_sockets(is_quick: bool) -> Result<()> {
    let report = sockets::run(is_quick, Path::new(OUT))?;
    println!("\n{report}\nwritten to target/overload: sockets.md, sockets-goodput.svg, sockets-p99.svg");
    Ok(())
}

#[cfg(not(feature = "sockets"))]
fn on_sockets(_: bool) -> Result<()> {
    bail!("built without the feature `sockets`; `cargo xtask overload --sockets` builds with it")
}

/// The parts that [`sockets`] starts this program for; `None` if it was not started for one.
#[cfg(feature = "sockets")]
fn part(args: &[String]) -> Option<Result<()>> {
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve", guard, turns] => Some(sockets::serve(sockets::Guard::named(guard)?, number(turns) as u64)),
        ["--load", port, rate, seconds] => Some(sockets::load(number(port) as u16, number(rate), number(seconds))),
        _ => None,
    }
}

#[cfg(not(feature = "sockets"))]
fn part(_: &[String]) -> Option<Result<()>> {
    None
}

fn simulate(is_quick: bool, only: &str) -> Result<()> {
    let seeds = if is_quick { 3 } else { 10 };
    let mut scenarios: Vec<_> = scenario::LOADS.iter().map(|(_, scenario)| *scenario).collect();
    scenarios.extend(scenario::DISTURBED);
    scenarios.retain(|scenario| scenario.name.contains(only) && !(is_quick && scenario.to > 600.0));
    println!("{} scenarios under {} policies with {seeds} seeds …", scenarios.len(), Policy::ALL.len());
    let cells = lab::run(&scenarios, &Policy::ALL, seeds)?;
    println!("the best static limits …");
    let ceilings = goals::ceilings(&scenarios, seeds)?;

    let out = Path::new(OUT);
    let report = report::simulated(&cells, &ceilings, seeds);
    std::fs::write(out.join("report.md"), &report)?;
    plot::goodput(&out.join("goodput.svg"), &curves::over_load(&cells, |o| o.goodput), scenario::CAPACITY)?;
    plot::p99(&out.join("p99.svg"), &curves::over_load(&cells, |o| o.p99))?;
    let title = "The limit over time: 0.8 × capacity, and 5 × from 10 s to 15 s";
    plot::limits(&out.join("spike.svg"), &curves::after_a_spike(&cells), title)?;
    println!("\n{report}\nwritten to target/overload: report.md, goodput.svg, p99.svg, spike.svg");
    let mut wrong = goals::missed(&cells, &ceilings, is_quick);
    wrong.extend(rivals::changed(&cells));
    if !wrong.is_empty() {
        bail!("missed goals, or rivals that are not what they were:\n{}", wrong.join("\n"));
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = part(&args).unwrap_or_else(|| Options::parse(lexopt::Parser::from_args(args)).and_then(|o| o.run()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_help_names_is_understood_and_nothing_else() {
        let parse = |args: &[&str]| Options::parse(lexopt::Parser::from_args(args));
        assert_eq!(parse(&[]).unwrap(), Options::default());
        assert!(parse(&["--quick"]).unwrap().is_quick);
        assert_eq!(parse(&["--only", "spike"]).unwrap().only, "spike");
        assert!(parse(&["--sockets"]).unwrap().on_sockets);
        assert!(parse(&["-h"]).unwrap().wants_help);
        assert!(parse(&["--fast"]).is_err() && parse(&["quick"]).is_err());
    }
}
