//! A file is one idea: a source has at most 400 lines, a test 600.

use super::tree::{Tree, in_crate};
use super::{Failure, Finding};

const SOURCE: usize = 400;
const OTHER: usize = 600;

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let finding = |(path, text): (&str, &str)| {
        let (lines, most) = (text.lines().count(), if in_crate(path, &["src"]) { SOURCE } else { OTHER });
        (lines > most).then(|| Failure(format!("{path} has {lines} lines; split it before {most}")))
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
    fn long_files_fail_and_sources_sooner() {
        assert!(matches!(of("xtask/src/a.rs", 601), Some(Failure(_))));
        assert!(matches!(of("crates/a/src/a.rs", 401), Some(Failure(_))));
        for (path, lines) in [("crates/a/src/a.rs", 400), ("crates/a/tests/a.rs", 600), ("README.md", 601)] {
            assert!(of(path, lines).is_none(), "{path} {lines}");
        }
    }
}
