//! What the libraries of the field keep of the laws, as the conformance kit finds it.
//!
//! `cargo xtask tck` runs it. The schedules are the same at each run, the versions are pinned, and the table stands in the
//! README of `backpressure-tck`: a run fails where it no longer holds.
#![allow(unreachable_pub, reason = "a program exports nothing")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on its streams")]

mod channels;
mod peer;
mod services;
mod sinks;
mod streams;
mod table;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask tck [--keep] [--only NAME]

  Leads the libraries of the field through the schedules of the conformance kit, and compares what it finds with the table
  in crates/backpressure-tck/README.md.

  --only NAME only the packages and parts whose name contains NAME; prints, and compares nothing
  --keep      write what was seen into the README, instead of comparing
";

#[derive(Debug, Default)]
struct Options {
    keep: bool,
    only: Option<String>,
    wants_help: bool,
}

impl Options {
    fn parse(mut args: lexopt::Parser) -> Result<Self> {
        let mut options = Self::default();
        while let Some(arg) = args.next()? {
            match arg {
                Long("keep") => options.keep = true,
                Long("only") => options.only = Some(args.value()?.string()?),
                Short('h') | Long("help") => options.wants_help = true,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.keep && options.only.is_some() {
            bail!("--keep keeps the whole table, so it goes without --only");
        }
        Ok(options)
    }

    fn run(&self) -> Result<()> {
        if self.wants_help {
            print!("{HELP}");
            return Ok(());
        }
        // Peers may panic, which is found out and reported.
        std::panic::set_hook(Box::new(|_| {}));
        let only = self.only.as_deref().unwrap_or_default();
        let peers = [streams::all(), sinks::all(), channels::all(), services::all()].into_iter().flatten();
        let mut seen = Vec::new();
        for peer in peers.filter(|peer| format!("{peer:?}").contains(only)) {
            let report = peer.examine();
            println!("{peer:?}{report}");
            seen.push((peer, report));
        }
        if self.only.is_some() {
            return Ok(());
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
        let path = root.join("crates/backpressure-tck/README.md");
        let readme = fs::read_to_string(&path).context("the README cannot be read")?;
        let table = table::of(&seen, &lock)?;
        if self.keep { Ok(fs::write(path, table::put(&readme, &table)?)?) } else { table::compare(&readme, &table) }
    }
}

fn main() -> ExitCode {
    match Options::parse(lexopt::Parser::from_env()).and_then(|options| options.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tck: {error:#}");
            ExitCode::FAILURE
        }
    }
}
