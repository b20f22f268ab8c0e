//! A file is one idea: think at 400 lines, split at 600.

use super::tree::{Tree, in_crate};
use super::{Failure, Finding, Warning};

const THINK: usize = 400;
const SPLIT: usize = 600;

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let finding = |(path, text): (&str, &str)| match text.lines().count() {
        lines if lines > SPLIT => Some(Failure(format!("{path} has {lines} lines; split it before {SPLIT}"))),
        lines if lines > THINK && in_crate(path, &["src"]) => {
            Some(Warning(format!("{path} has {lines} lines; is it still one idea?")))
        }
        _ => None,
    };
    tree.rust().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, lines: usize) -> Option<Finding> {
        check(&Tree::made_up(&[], &[(path, &"\n".repeat(lines))])).pop()
    }

    #[test]
    fn long_files_fail_and_longish_sources_warn() {
        assert!(matches!(of("xtask/src/a.rs", 601), Some(Failure(_))));
        assert!(matches!(of("crates/a/src/a.rs", 401), Some(Warning(_))));
        for (path, lines) in [("crates/a/src/a.rs", 400), ("crates/a/tests/a.rs", 600), ("README.md", 601)] {
            assert!(of(path, lines).is_none(), "{path} {lines}");
        }
    }
}
