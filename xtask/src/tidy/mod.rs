//! `cargo xtask tidy`: the rules of this workspace that the compiler does not know. One rule is one file.
//!
//! The rules read a [`Tree`], so that each can be shown to fail on a made-up one. The test at the end of this file
//! runs them on the real one, which makes them part of `cargo test`.

mod arrows;
mod circles;
mod examples;
mod laws;
mod length;
mod manifest;
mod paths;
mod subjects;
mod tree;
mod uses;
mod words;

use anyhow::{Result, ensure};

use self::tree::Tree;
use crate::workspace::Workspace;

enum Finding {
    Failure(String),
    Note(String),
}

use Finding::{Failure, Note};

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("arrows", arrows::check),
    ("circles", circles::check),
    ("length", length::check),
    ("words", words::check),
    ("manifest", manifest::check),
    ("paths", paths::check),
    ("laws", laws::check),
    ("examples", examples::check),
    ("subjects", subjects::check),
];

pub fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::load(workspace)?;
    let mut failures = 0;
    for (name, rule) in RULES {
        let findings = rule(&tree);
        for finding in &findings {
            match finding {
                Failure(what) => println!("tidy: {name}: FAILED: {what}"),
                Note(what) => println!("tidy: {name}: {what}"),
            }
        }
        let failed = failed(&findings).len();
        if failed == 0 {
            println!("tidy: {name}: ok");
        }
        failures += failed;
    }
    ensure!(failures == 0, "`cargo xtask tidy` failed; rules broken: {failures}");
    Ok(())
}

fn failed(findings: &[Finding]) -> Vec<&str> {
    let failures = findings.iter().filter_map(|finding| match finding {
        Failure(what) => Some(what.as_str()),
        Note(_) => None,
    });
    failures.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        let workspace = Workspace::load().unwrap();
        let tree = Tree::load(&workspace).unwrap();
        let findings = RULES.iter().flat_map(|(_, rule)| rule(&tree)).collect::<Vec<_>>();
        assert!(failed(&findings).is_empty(), "{}", failed(&findings).join("\n"));
    }
}
