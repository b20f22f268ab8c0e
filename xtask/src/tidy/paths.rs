//! No file names a place on the machine of whoever wrote it.

use super::tree::Tree;
use super::{Failure, Finding};

const TOPS: [&str; 4] = ["root", "home", "tmp", "work"];

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let tops = TOPS.map(|top| format!("/{top}/"));
    let mut findings = Vec::new();
    for (path, text) in &tree.files {
        for (line, number) in text.lines().zip(1..) {
            for top in tops.iter().filter(|top| names(line, top)) {
                findings.push(Failure(format!("{path}:{number}: an absolute path in `{top}`")));
            }
        }
    }
    findings
}

/// Whether a path in `line` begins with `top`, rather than having it in the middle, as `../tmp/` or a web address may.
fn names(line: &str, top: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || "._-~})*".contains(c);
    line.match_indices(top).any(|(at, _)| !line[..at].ends_with(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_some_machine_fails_in_any_file() {
        for top in TOPS {
            for line in [format!("/{top}/me/x"), format!("open(\"/{top}/x\")"), format!("file:///{top}/x")] {
                assert_eq!(check(&Tree::made_up(&[], &[("docs/a.md", &line)])).len(), 1, "{line}");
            }
        }
    }

    #[test]
    fn the_same_words_inside_a_longer_path_pass() {
        for top in TOPS {
            for line in [format!("../{top}/x"), format!("https://example.org/{top}/x"), format!("{top}/x")] {
                assert_eq!(check(&Tree::made_up(&[], &[("docs/a.md", &line)])).len(), 0, "{line}");
            }
        }
    }
}
