//! The command line.

use anyhow::{Result, bail, ensure};
use lexopt::prelude::*;

pub const HELP: &str = "\
cargo xtask bench [FILTER] [OPTIONS]

Runs the benches whose `function/case/row` contains FILTER, round by round, and writes
target/bench/report.md and target/bench/report.html.

  --quick          at most five minutes once everything is built; the numbers are rougher
  --save NAME      keep the numbers as target/bench/saved/NAME.json
  --against NAME   print what got slower or faster since those, beyond the noise
  --from NAME      take saved numbers instead of measuring; `latest` are those of the last run
  --readme         put the table into README.md, between <!-- bench --> and <!-- /bench -->
";

#[derive(Debug, Default, PartialEq)]
pub struct Args {
    pub filter: Option<String>,
    pub quick: bool,
    pub save: Option<String>,
    pub against: Option<String>,
    pub from: Option<String>,
    pub readme: bool,
    pub help: bool,
}

impl Args {
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self> {
        let mut args = Self::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Short('h') | Long("help") => args.help = true,
                Long("quick") => args.quick = true,
                Long("readme") => args.readme = true,
                Long("save") => args.save = Some(name(parser.value()?.string()?)?),
                Long("against") => args.against = Some(name(parser.value()?.string()?)?),
                Long("from") => args.from = Some(name(parser.value()?.string()?)?),
                Value(filter) if args.filter.is_none() => args.filter = Some(filter.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if args.from.is_some() && (args.quick || args.filter.is_some()) {
            bail!("--from measures nothing, so there is nothing to filter or to be quick about");
        }
        ensure!(!args.readme || args.filter.is_none(), "--readme wants the numbers of all benches, not of some");
        Ok(args)
    }

    /// What to type to measure the same again.
    pub fn command(&self) -> String {
        let mut command = String::from("cargo xtask bench");
        if let Some(filter) = &self.filter {
            let bare = filter.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c));
            command.push_str(&if bare { format!(" {filter}") } else { format!(" '{filter}'") });
        }
        if self.quick {
            command.push_str(" --quick");
        }
        command
    }
}

/// The name of a file, not a path.
fn name(name: String) -> Result<String> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    ensure!(!name.is_empty() && !name.starts_with('.') && name.chars().all(plain), "`{name}` is not a plain name");
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args> {
        Args::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn each_option_in_the_help_is_parsed() {
        let args = parse(&["micro-batch", "--quick", "--save", "a", "--against", "b-1.0"]).unwrap();
        assert_eq!((args.filter.as_deref(), args.quick), (Some("micro-batch"), true));
        assert_eq!((args.save.as_deref(), args.against.as_deref()), (Some("a"), Some("b-1.0")));
        let args = parse(&["--readme", "--from", "latest"]).unwrap();
        assert!(args.readme && args.from.as_deref() == Some("latest"));
        assert!(parse(&["--help"]).unwrap().help);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["a", "b"][..],
            &["--save"],
            &["--save", "../x"],
            &["--save", ".x"],
            &["--from", "x", "--quick"],
            &["x", "--readme"],
            &["--fast"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn the_command_measures_the_same_again() {
        for args in [&[][..], &["sink"], &["--quick"], &["one thread", "--quick"]] {
            let command = parse(args).unwrap().command();
            let typed = args.iter().map(|arg| if arg.contains(' ') { format!("'{arg}'") } else { arg.to_string() });
            assert_eq!(command, ["cargo xtask bench".into()].into_iter().chain(typed).collect::<Vec<_>>().join(" "));
        }
    }
}
