//! A test that cites a law in its name (`fn b5_stale_deadline…`) cites one that `ARCHITECTURE.md` has.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Failure, Finding, Note};

const TABLE: &str = "ARCHITECTURE.md";

/// Names of types that look like laws.
const TYPES: [&str; 5] = ["I8", "I16", "I32", "I64", "I128"];

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let Some(table) = tree.text(TABLE) else {
        return vec![Failure(format!("there is no {TABLE}"))];
    };
    let laws = rows(table);
    if laws.is_empty() {
        return vec![Failure(format!("{TABLE} has no row `| D1 | … |`"))];
    }
    let series = |law: &str| laws.iter().any(|known| known[..1] == law[..1]);
    let mut untested = laws.clone();
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| !path.starts_with("xtask/")) {
        for (line, number) in text.lines().zip(1..) {
            for law in cited(line).into_iter().filter(|law| series(law) && !TYPES.contains(&law.as_str())) {
                untested.remove(&law);
                if !laws.contains(&law) {
                    findings.push(Failure(format!("{path}:{number}: {TABLE} has no law {law}")));
                }
            }
        }
    }
    if !untested.is_empty() {
        let list = untested.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        findings.push(Note(format!("{} of {} laws have no test yet: {list}", untested.len(), laws.len())));
    }
    findings
}

/// The numbers in the first column of the tables.
fn rows(table: &str) -> BTreeSet<String> {
    let cell =
        |line: &str| Some(line.trim().strip_prefix('|')?.split('|').next()?.trim_matches([' ', '*', '`']).into());
    table.lines().filter_map(cell).filter(|cell: &String| is_law(cell)).collect()
}

/// The laws that the name of a function declared in `line` begins with; `c1_c2_…` cites two.
fn cited(line: &str) -> Vec<String> {
    let Some((_, name)) = line.split_once("fn ") else { return Vec::new() };
    let name = name.split(['(', '<']).next().unwrap_or_default();
    name.split('_').map(str::to_ascii_uppercase).take_while(|part| is_law(part)).collect()
}

fn is_law(word: &str) -> bool {
    let Some((series, number)) = word.split_at_checked(1) else { return false };
    series.starts_with(|c: char| c.is_ascii_uppercase())
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAWS: (&str, &str) =
        (TABLE, "| no. | promise |\n|---|---|\n| D1 | one |\n| **D2** | two |\n| I1 | three |\n");

    fn findings(test: &str) -> Vec<Finding> {
        check(&Tree::made_up(&[], &[LAWS, ("crates/a/tests/a.rs", test)]))
    }

    #[test]
    fn a_law_that_is_not_in_the_table_fails() {
        assert!(
            matches!(&findings("fn d3_x() {}")[0], Failure(what) if what.contains("a.rs:1") && what.contains("D3"))
        );
        assert!(matches!(&findings("    async fn d1_d4_x() {}")[0], Failure(what) if what.contains("D4")));
    }

    #[test]
    fn laws_without_a_test_are_listed() {
        assert!(matches!(&findings("fn d1_x() {}")[..], [Note(what)] if what == "2 of 3 laws have no test yet: D2 I1"));
        assert!(findings("fn d1_x() {}\nfn d2_i1_y(n in 0..9) {}").is_empty());
    }

    #[test]
    fn other_names_cite_nothing() {
        for name in ["p99_of_none", "i32_fits", "u8_repr", "d_1", "demand_d9", "d1b_x"] {
            let findings = findings(&format!("fn {name}() {{}}"));
            assert!(matches!(&findings[..], [Note(what)] if what.starts_with("3 of 3")), "{name}");
        }
    }

    #[test]
    fn a_missing_or_empty_table_fails() {
        assert!(matches!(check(&Tree::made_up(&[], &[]))[..], [Failure(_)]));
        assert!(matches!(check(&Tree::made_up(&[], &[(TABLE, "| a | b |")]))[..], [Failure(_)]));
    }
}
