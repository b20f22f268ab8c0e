//! No test is switched off, nothing is left to do, and nothing in a crate or its tests waits for real time.

use super::tree::{Tree, in_crate};
use super::{Failure, Finding};

/// Spelled in halves, so that this file does not break its own rule.
const UNFINISHED: [&str; 3] = [concat!("#[", "ignore"), concat!("to", "do!"), concat!("unimple", "mented!")];

/// Ends a line that sleeps on a clock that is paused, or that a caller may pause.
const ALLOWED: &str = "// tidy: paused clock";

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        for (line, number) in text.lines().zip(1..) {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                findings.push(Failure(format!("{path}:{number}: `{word}`")));
            }
            if in_crate(path, &["src", "tests"]) && sleeps(line) && !line.trim_end().ends_with(ALLOWED) {
                findings.push(Failure(format!(
                    "{path}:{number}: sleeps; use a paused clock and end the line with `{ALLOWED}`"
                )));
            }
        }
    }
    findings
}

/// Whether `line` calls `sleep`, under whatever path, or names the one that blocks the thread.
fn sleeps(line: &str) -> bool {
    let called = |(at, _): (usize, &str)| {
        let before = &line[..at];
        !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') && !before.ends_with("fn ")
    };
    line.contains("thread::sleep") || line.match_indices("sleep(").any(called)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(path: &str, line: &str) -> usize {
        check(&Tree::made_up(&[], &[(path, line)])).len()
    }

    #[test]
    fn unfinished_work_fails_anywhere() {
        for word in UNFINISHED {
            assert_eq!(failures("benches/src/a.rs", &format!("    {word}")), 1, "{word}");
        }
        assert_eq!(failures("README.md", UNFINISHED[1]), 0);
    }

    #[test]
    fn sleeping_fails_in_crates_and_their_tests() {
        for line in
            ["std::thread::sleep(d)", "tokio::time::sleep(d).await", "sleep(d).await", "use std::thread::sleep;"]
        {
            assert_eq!(failures("crates/a/tests/a.rs", line), 1, "{line}");
            assert_eq!(failures("crates/a/src/a.rs", line), 1, "{line}");
            assert_eq!(failures("examples/a/main.rs", line), 0, "{line}");
        }
    }

    #[test]
    fn a_paused_clock_and_other_words_pass() {
        for line in ["sleep(d).await; // tidy: paused clock", "sleep_until(t)", "fn sleep(d: Duration)", "self.sleep()"]
        {
            assert_eq!(failures("crates/a/tests/a.rs", line), 0, "{line}");
        }
    }
}
