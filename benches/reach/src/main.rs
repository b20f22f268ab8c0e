//! How far pressure reaches: what a producer still hands over when its consumer has stopped reading.
//!
//! `cargo xtask reach` runs it. For every transport there is a producer that always has another item, and a consumer that reads
//! nothing; both run in one thread, over loopback where there is a network. The count of items that left the producer is
//! watched until it has stood still for [half a second](settle::STILL). That is a measurement of what is there, and nothing
//! is synchronised by it. The table is kept in `docs/reach.md`; a run fails where it no longer holds.
#![allow(unreachable_pub, reason = "a program exports nothing")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on its streams")]

mod beside;
mod case;
mod cases;
mod compare;
mod fate;
mod http;
mod kept;
mod kernel;
mod page;
mod plain;
mod reach;
mod settle;
mod statuses;
mod table;
mod versions;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::case::Row;
use crate::plain::Table;

const HELP: &str = "\
cargo xtask reach [--keep] [--only NAME]

  Measures how much a producer hands over when nobody reads, and compares that with the table in docs/reach.md.

  --only NAME only the rows whose name contains NAME
  --keep      write what was seen into docs/reach.md, instead of comparing
";

#[derive(Debug, Default, PartialEq)]
struct Options {
    keep: bool,
    only: String,
    wants_help: bool,
}

impl Options {
    fn parse(mut args: lexopt::Parser) -> Result<Self> {
        let mut options = Self::default();
        while let Some(arg) = args.next()? {
            match arg {
                Long("keep") => options.keep = true,
                Long("only") => options.only = args.value()?.string()?,
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
        let cases: Vec<_> = cases::all().into_iter().filter(|case| case.name.contains(&self.only)).collect();
        let mut rows = Vec::with_capacity(cases.len());
        for case in &cases {
            let row = Row::measure(case)?;
            println!("{}", table::line(&row));
            rows.push(row);
        }
        let tables = [beside::table(), statuses::grpc(), statuses::http()];
        let lines = tables.iter().map(|table| table.measured(&self.only)).collect::<Result<Vec<_>>>()?;
        let all = rows.len() + lines.iter().map(Vec::len).sum::<usize>();
        if all == 0 {
            bail!("nothing is called `{}`", self.only);
        }
        if self.keep { self.write(&rows, &tables, &lines) } else { compare(&rows, &tables, &lines) }
    }

    fn write(&self, rows: &[Row], tables: &[Table], lines: &[Vec<String>]) -> Result<()> {
        kept::write(rows, self.only.is_empty())?;
        for (table, lines) in tables.iter().zip(lines).filter(|_| self.only.is_empty()) {
            table.keep(lines)?;
        }
        println!("written to docs/reach.md");
        Ok(())
    }
}

fn compare(rows: &[Row], tables: &[Table], lines: &[Vec<String>]) -> Result<()> {
    let mut missed = compare::missed(rows, &kept::read()?);
    for (table, lines) in tables.iter().zip(lines) {
        missed.extend(table.missed(lines)?);
    }
    if !missed.is_empty() {
        bail!("docs/reach.md no longer holds:\n{}", missed.join("\n"));
    }
    println!("docs/reach.md holds: {} rows", rows.len() + lines.iter().map(Vec::len).sum::<usize>());
    Ok(())
}

fn main() -> ExitCode {
    match Options::parse(lexopt::Parser::from_env()).and_then(|options| options.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reach: {error:#}");
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
        assert!(parse(&["--keep"]).unwrap().keep);
        assert_eq!(parse(&["--only", "HTTP/2"]).unwrap().only, "HTTP/2");
        assert!(parse(&["-h"]).unwrap().wants_help);
        assert!(parse(&["--fast"]).is_err() && parse(&["HTTP"]).is_err());
    }
}
