//! `cargo xtask`: the one door for the chores of this workspace.
//!
//! One subcommand is one file. `cargo xtask help` lists them.
#![allow(unreachable_pub, reason = "a program exports nothing")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on its streams")]

mod bench;
mod ci;
mod command;
mod deny;
mod loom;
mod msrv;
mod overload;
mod paths;
mod publish;
mod reach;
mod semver;
mod tck;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::msrv::Missing;
use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask <TASK>

  ci              everything CI checks: fmt, tidy, clippy, tests, features, docs, loom, publish
  loom [FILTER]   the loom models, or those whose name contains FILTER;
                  LOOM_MAX_PREEMPTIONS (default 2) sets how hard they look
  tidy            the rules of the workspace that the compiler does not know
  bench …         the benches beside the field: all of them, or those with a word in their
                  name; report and plots in target/bench; `cargo xtask bench --help`
  overload …      the overload lab: a simulation of the limits, or `--sockets`: real servers;
                  report and plots in target/overload; fails if the default misses a goal;
                  `cargo xtask overload --help`
  reach …         how much producers hand over when nobody reads, for each transport; compares
                  with the table in docs/reach.md; `cargo xtask reach --help`
  tck …           what the libraries of the field keep of the laws, against the table in
                  crates/backpressure-tck/README.md; `cargo xtask tck --help`
  msrv            check the published crates with the oldest toolchain they promise;
                  MSRV_CARGO names its cargo, if rustup does not have it
  publish         whether the crates could be published: a dry run; uploads nothing
  semver [REV]    what has changed in the public API since REV, or since the last release;
                  needs cargo-semver-checks
  deny            licences, sources, bans and advisories of the dependencies; needs cargo-deny
  help            this text
";

#[derive(Debug, PartialEq)]
enum Task {
    Bench { args: Vec<String> },
    Ci,
    Loom { filter: Option<String> },
    Tidy,
    Deny,
    Msrv,
    Overload { args: Vec<String> },
    Publish,
    Reach { args: Vec<String> },
    Semver { revision: Option<String> },
    Tck { args: Vec<String> },
    Help,
}

impl Task {
    fn parse(mut args: lexopt::Parser) -> Result<Self> {
        let mut task = match args.next()? {
            None | Some(Short('h') | Long("help")) => return Ok(Self::Help),
            Some(Value(name)) => match name.string()?.as_str() {
                "ci" => Self::Ci,
                "loom" => Self::Loom { filter: None },
                "tidy" => Self::Tidy,
                "msrv" => Self::Msrv,
                "deny" => Self::Deny,
                "publish" => Self::Publish,
                "semver" => Self::Semver { revision: None },
                "bench" => return Ok(Self::Bench { args: rest(args)? }),
                "overload" => return Ok(Self::Overload { args: rest(args)? }),
                "reach" => return Ok(Self::Reach { args: rest(args)? }),
                "tck" => return Ok(Self::Tck { args: rest(args)? }),
                "help" => return Ok(Self::Help),
                other => bail!("there is no task `{other}`; `cargo xtask help` lists them"),
            },
            Some(other) => return Err(other.unexpected().into()),
        };
        while let Some(arg) = args.next()? {
            match (&mut task, arg) {
                (_, Short('h') | Long("help")) => return Ok(Self::Help),
                (Self::Loom { filter: filter @ None }, Value(value)) => *filter = Some(value.string()?),
                (Self::Semver { revision: revision @ None }, Value(value)) => *revision = Some(value.string()?),
                (_, arg) => return Err(arg.unexpected().into()),
            }
        }
        Ok(task)
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Bench { args } => bench::run(&args),
            Self::Ci => ci::run(&Workspace::load()?),
            Self::Loom { filter } => loom::run(&Workspace::load()?, filter.as_deref()),
            Self::Tidy => tidy::run(&Workspace::load()?),
            Self::Msrv => msrv::run(&Workspace::load()?, Missing::Fails),
            Self::Deny => deny::run(),
            Self::Publish => publish::run(),
            Self::Semver { revision } => semver::run(revision.as_deref()),
            Self::Overload { args } => overload::run(&args),
            Self::Reach { args } => reach::run(&args),
            Self::Tck { args } => tck::run(&args),
            Self::Help => {
                print!("{HELP}");
                Ok(())
            }
        }
    }
}

/// What is left, for another program to parse.
fn rest(mut args: lexopt::Parser) -> Result<Vec<String>> {
    Ok(args.raw_args()?.map(ValueExt::string).collect::<Result<_, _>>()?)
}

fn main() -> ExitCode {
    match Task::parse(lexopt::Parser::from_env()).and_then(Task::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Task> {
        Task::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn each_task_in_the_help_is_parsed() {
        assert_eq!(parse(&["bench", "--quick"]).unwrap(), Task::Bench { args: vec!["--quick".into()] });
        assert_eq!(parse(&["ci"]).unwrap(), Task::Ci);
        assert_eq!(parse(&["loom"]).unwrap(), Task::Loom { filter: None });
        assert_eq!(parse(&["overload"]).unwrap(), Task::Overload { args: Vec::new() });
        assert_eq!(parse(&["overload", "--help"]).unwrap(), Task::Overload { args: vec!["--help".into()] });
        assert_eq!(parse(&["reach", "--keep"]).unwrap(), Task::Reach { args: vec!["--keep".into()] });
        assert_eq!(parse(&["loom", "wakes"]).unwrap(), Task::Loom { filter: Some("wakes".into()) });
        assert_eq!(parse(&["tck", "--keep"]).unwrap(), Task::Tck { args: vec!["--keep".into()] });
        assert_eq!(parse(&["tidy"]).unwrap(), Task::Tidy);
        assert_eq!(parse(&["msrv"]).unwrap(), Task::Msrv);
        assert_eq!(parse(&["deny"]).unwrap(), Task::Deny);
        assert_eq!(parse(&["publish"]).unwrap(), Task::Publish);
        assert_eq!(parse(&["semver"]).unwrap(), Task::Semver { revision: None });
        assert_eq!(parse(&["semver", "main"]).unwrap(), Task::Semver { revision: Some("main".into()) });
    }

    #[test]
    fn help_is_the_answer_to_nothing_and_to_asking() {
        for args in [&[][..], &["help"], &["--help"], &["ci", "-h"]] {
            assert_eq!(parse(args).unwrap(), Task::Help);
        }
    }

    #[test]
    fn strangers_are_refused() {
        for args in [&["benches"][..], &["tidy", "now"], &["loom", "a", "b"], &["semver", "a", "b"], &["ci", "--fast"]]
        {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
