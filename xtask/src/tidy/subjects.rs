//! The subject of a commit: what it touches, a colon, and what is new, in one line that a log can show.

use super::tree::Tree;
use super::{Failure, Finding};

const LONGEST: usize = 72;

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let broken = tree.subjects.iter().filter_map(|subject| Some(Failure(format!("{:?}: {}", subject, why(subject)?))));
    broken.collect()
}

fn why(subject: &str) -> Option<&'static str> {
    if subject.chars().count() > LONGEST {
        return Some("more than 72 characters");
    }
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-,/ ".contains(c);
    match subject.split_once(": ") {
        Some((part, what)) if part.chars().all(is_part) && !part.is_empty() && !what.ends_with('.') => None,
        _ => Some("not `part: what is new`, without a full stop"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_part_and_fits_in_a_line() {
        for subject in ["channel: hand the wake on", "core, tower: one clock", "xtask: 1"] {
            assert_eq!(why(subject), None, "{subject}");
        }
        let long = format!("channel: {}", "a".repeat(64));
        for subject in ["Channel: hand it on", "channel hands it on", "channel: hand it on.", ": it", &long] {
            assert!(why(subject).is_some(), "{subject}");
        }
    }
}
