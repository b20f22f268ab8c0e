//! The table in the README of the kit.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use backpressure_tck::Report;

use crate::peer::Peer;

const BEGIN: &str = "<!-- tck: what `cargo xtask tck --keep` writes -->\n";
const END: &str = "<!-- tck: end -->\n";

/// The table of all peers, and below it each failure.
pub fn of(peers: &[(Peer, Report)], lock: &str) -> Result<String> {
    let mut table = String::from("| package | part | keeps | breaks |\n|---|---|---|---|\n");
    let mut details = String::new();
    for (peer, report) in peers {
        let version = version(lock, peer.package)?;
        let keeps: Vec<_> = report.passes().map(|law| law.number).collect();
        let breaks: Vec<_> = report.failures().map(|(law, _)| law.number).collect();
        let breaks = if breaks.is_empty() { "nothing found".into() } else { format!("**{}**", breaks.join(" ")) };
        writeln!(table, "| {} {version} | {} | {} | {breaks} |", peer.package, peer.part, keeps.join(" "))?;
        if report.failures().next().is_some() {
            writeln!(details, "\n**{} {version}, {}**\n", peer.package, peer.part)?;
        }
        for (law, broken) in report.failures() {
            let text = law.text;
            writeln!(details, "* {}, {text}: `{}`. {}.", law.number, broken.schedule, broken.what)?;
        }
    }
    Ok(format!("{table}{details}"))
}

fn version<'a>(lock: &'a str, package: &str) -> Result<&'a str> {
    let entry = lock.split("[[package]]\n").find(|entry| entry.starts_with(&format!("name = \"{package}\"\n")));
    let line = entry.and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = \"")));
    line.and_then(|line| line.strip_suffix('"')).with_context(|| format!("{package} is not in Cargo.lock"))
}

/// The README with this table in it.
pub fn put(readme: &str, table: &str) -> Result<String> {
    let (before, rest) = readme.split_once(BEGIN).context("the README has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the table in the README has no end")?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// # Errors
///
/// The first line of the table that is not what was seen.
pub fn compare(readme: &str, table: &str) -> Result<()> {
    let seen = put(readme, table)?;
    let differs = readme.lines().zip(seen.lines()).find(|(kept, seen)| kept != seen);
    match differs {
        None if readme == seen => Ok(()),
        None => bail!("the README has more or fewer lines than were seen"),
        Some((kept, seen)) => bail!("the README says\n  {kept}\nbut it was seen that\n  {seen}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_kept_holds_and_one_that_differs_does_not() {
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        let kept = put(&readme, "new\n").expect("it has a place");
        assert!(compare(&kept, "new\n").is_ok());
        let error = compare(&kept, "newer\n").expect_err("it differs").to_string();
        assert!(error.contains("newer") && kept.starts_with("before\n") && kept.ends_with("after\n"));
        assert!(put("no place", "new\n").is_err());
    }

    #[test]
    fn versions_are_those_of_the_lock() {
        let lock =
            "[[package]]\nname = \"a-b\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"a\"\nversion = \"4.5.6\"\n";
        assert_eq!(version(lock, "a").expect("it is there"), "4.5.6");
        assert!(version(lock, "b").is_err());
    }
}
