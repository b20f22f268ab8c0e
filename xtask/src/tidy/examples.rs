//! Every example that a README names can be run or opened.

use super::tree::Tree;
use super::{Failure, Finding};

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (readme, text) in tree.files.iter().filter(|(path, _)| path.ends_with("README.md")) {
        let home = readme.trim_end_matches("README.md");
        for (line, number) in text.lines().zip(1..) {
            for name in named(line, "--example ").filter(|name| !is_target(tree, name)) {
                findings.push(Failure(format!("{readme}:{number}: no example is called `{name}`")));
            }
            for path in named(line, "examples/").map(|path| format!("examples/{path}")) {
                if !exists(tree, &path) && !exists(tree, &format!("{home}{path}")) {
                    findings.push(Failure(format!("{readme}:{number}: there is no `{path}`")));
                }
            }
        }
    }
    findings
}

/// What follows each `prefix` in `line`, as far as it looks like a name or a path.
fn named<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let name = |(at, _): (usize, &str)| {
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "-_./".contains(c))).unwrap_or(rest.len());
        rest[..end].trim_end_matches(['.', '/'])
    };
    line.match_indices(prefix).map(name).filter(|name| !name.is_empty())
}

fn is_target(tree: &Tree<'_>, name: &str) -> bool {
    tree.packages.iter().any(|package| package.targets_of_kind("example").any(|target| target.name == name))
}

fn exists(tree: &Tree<'_>, path: &str) -> bool {
    tree.files.keys().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Package, Target};

    fn failures(readme: &str) -> usize {
        let ingest = Target { name: "ingest".into(), kinds: vec!["example".into()] };
        let packages = [Package { targets: vec![ingest], ..Package::default() }];
        check(&Tree::made_up(&packages, &[("README.md", readme), ("examples/ingest/main.rs", "")])).len()
    }

    #[test]
    fn an_example_that_is_not_there_fails() {
        for readme in
            ["cargo run --example gone", "see [it](examples/gone)", "`examples/ingest/gone.rs`", "examples/ing"]
        {
            assert_eq!(failures(readme), 1, "{readme}");
        }
    }

    #[test]
    fn an_example_that_is_there_passes() {
        for readme in
            ["`cargo run --example ingest`", "see examples/ingest.", "(examples/ingest/main.rs)", "in examples/"]
        {
            assert_eq!(failures(readme), 0, "{readme}");
        }
    }
}
