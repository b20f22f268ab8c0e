//! `cargo xtask semver`: whether the public API has changed as its version says, by `cargo-semver-checks`.

use anyhow::{Result, ensure};

use crate::command::Command;

pub fn run(revision: Option<&str>) -> Result<()> {
    ensure!(
        Command::cargo(&["semver-checks", "--version"]).succeeds(),
        "cargo-semver-checks is not installed: `cargo install --locked cargo-semver-checks`"
    );
    let tags = Command::new("git", "git").args(["tag", "--list", "v*", "--sort=-version:refname"]).read()?;
    let revision = baseline(revision, &tags)?;
    Command::cargo(&["semver-checks", "--workspace", "--all-features", "--baseline-rev", revision]).run()
}

/// What the API is compared with: the revision that was named, or else the latest release.
fn baseline<'a>(named: Option<&'a str>, tags: &'a str) -> Result<&'a str> {
    let revision = named.or_else(|| tags.lines().next());
    ensure!(
        revision.is_some(),
        "there is nothing to compare with: no tag `v…` of a release yet. Name a revision: `cargo xtask semver REVISION`"
    );
    Ok(revision.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_release_is_compared_with_unless_another_revision_is_named() {
        assert_eq!(baseline(None, "v0.2.0\nv0.1.0\n").unwrap(), "v0.2.0");
        assert_eq!(baseline(Some("main"), "v0.2.0\n").unwrap(), "main");
        let error = baseline(None, "").unwrap_err().to_string();
        assert!(error.contains("cargo xtask semver REVISION"), "{error}");
    }
}
