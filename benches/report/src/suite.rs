//! The bench programs, and the functions that they measure.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::paths;

/// The package with the benches.
pub const PACKAGE: &str = "backpressure-benches";

#[derive(Debug)]
pub struct Suite {
    pub functions: Vec<Function>,
}

/// One function of one program.
#[derive(Debug)]
pub struct Function {
    pub program: PathBuf,
    pub id: String,
}

/// A line of what cargo says with `--message-format json`.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Suite {
    /// Builds all bench programs and asks each, in the order of their names, what it has.
    pub fn build() -> Result<Self> {
        let mut functions = Vec::new();
        let mut programs = programs()?;
        programs.sort();
        for program in programs {
            let listed = list(&program)?;
            functions.extend(ids(&listed).map(|id| Function { program: program.clone(), id: id.into() }));
        }
        Ok(Self { functions })
    }

    /// Those with `filter` in their name.
    pub fn filter(mut self, filter: Option<&str>) -> Self {
        let filter = filter.unwrap_or_default().to_lowercase();
        self.functions.retain(|function| function.id.to_lowercase().contains(&filter));
        self
    }
}

fn programs() -> Result<Vec<PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args(["bench", "--package", PACKAGE, "--benches", "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(paths::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let lines = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
    let programs = lines.map(|line| Ok(program(&line?))).filter_map(Result::transpose).collect::<Result<_>>()?;
    let status = child.wait()?;
    ensure!(status.success(), "the benches cannot be built: cargo ended with {status}");
    Ok(programs)
}

/// The bench program that a line of cargo's tells of.
fn program(line: &str) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    message.executable.filter(|_| message.target.is_some_and(|target| target.kind.iter().any(|kind| kind == "bench")))
}

fn list(program: &Path) -> Result<String> {
    let output = Command::new(program).args(["--bench", "--list", "--format", "terse"]).output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "{} cannot list its functions", program.display());
    Ok(String::from_utf8(output.stdout)?)
}

fn ids(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter_map(|line| line.strip_suffix(": benchmark"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bench_programs_are_run() {
        let bench = r#"{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"sink"},"executable":"a/sink"}"#;
        assert_eq!(program(bench), Some("a/sink".into()));
        for line in [
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"x"},"executable":"a/x"}"#,
            r#"{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"x"},"executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "no JSON",
        ] {
            assert_eq!(program(line), None, "{line}");
        }
    }

    #[test]
    fn names_are_read_from_the_list() {
        let listed = "sink/always ready/backpressure: benchmark\nsink/always ready/floor: a: benchmark\n\nGnuplot\n";
        let ids: Vec<_> = ids(listed).collect();
        assert_eq!(ids, ["sink/always ready/backpressure", "sink/always ready/floor: a"]);
    }

    #[test]
    fn the_filter_is_part_of_a_name_in_either_case() {
        let function = |id: &str| Function { program: PathBuf::new(), id: id.into() };
        let suite = || Suite { functions: vec![function("sink/a/b"), function("Stream/a/c")] };
        assert_eq!(suite().filter(Some("stream/A")).functions.len(), 1);
        assert_eq!(suite().filter(None).functions.len(), 2);
        assert_eq!(suite().filter(Some("none")).functions.len(), 0);
    }
}
