//! What the rules look at: the packages, and the text of every file that git tracks (a new one from its `git add` on).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::command::Command;
use crate::paths;
use crate::workspace::{Package, Workspace};

const LEFT_BEHIND: [&str; 4] = ["/target", "/.git", ".log", ".txt"];

pub struct Tree<'a> {
    pub packages: &'a [Package],
    /// By path from the root, with `/` between the parts. Files that are not UTF-8 are left out.
    pub files: BTreeMap<String, String>,
    /// The subjects of the newest commits, as far as they are known.
    pub subjects: Vec<String>,
}

impl<'a> Tree<'a> {
    pub fn load(workspace: &'a Workspace) -> Result<Self> {
        let root = paths::root();
        let files = match tracked() {
            Some(paths) => paths,
            None => walked(root, root)?,
        };
        let text = |path: String| fs::read_to_string(root.join(&path)).ok().map(|text| (path, text));
        Ok(Self {
            packages: &workspace.packages,
            files: files.into_iter().filter_map(text).collect(),
            subjects: subjects(),
        })
    }

    /// The Rust files and their text.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().filter(|(path, _)| path.ends_with(".rs"));
        files.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.published)
    }
}

/// Whether `path` is `crates/<any>/<dir>/…` for one of `dirs`.
pub fn in_crate(path: &str, dirs: &[&str]) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("crates") && parts.nth(1).is_some_and(|dir| dirs.contains(&dir))
}

/// What git tracks, or nothing if this is no repository of its own, or a new one.
fn tracked() -> Option<Vec<String>> {
    let is_repository = paths::root().join(".git").exists();
    let out = is_repository.then(|| Command::new("git", "git").args(["ls-files", "-z"]).read().ok()).flatten()?;
    let paths: Vec<String> = out.split_terminator('\0').map(Into::into).collect();
    (!paths.is_empty()).then_some(paths)
}

/// Older commits are what they are.
fn subjects() -> Vec<String> {
    let log = Command::new("git", "git").args(["log", "-10", "--no-merges", "--format=%s"]).read();
    let is_repository = paths::root().join(".git").exists();
    log.ok().filter(|_| is_repository).map(|log| log.lines().map(Into::into).collect()).unwrap_or_default()
}

/// Every file below `dir`, for want of a repository to ask. What builds and runs leave behind is passed over.
fn walked(root: &Path, dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if LEFT_BEHIND.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(walked(root, &path)?);
        } else {
            found.extend(paths::relative(root, &path));
        }
    }
    Ok(found)
}

#[cfg(test)]
impl<'a> Tree<'a> {
    pub fn made_up(packages: &'a [Package], files: &[(&str, &str)]) -> Self {
        Self {
            packages,
            files: files.iter().map(|&(path, text)| (path.into(), text.into())).collect(),
            subjects: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_git_this_file_is_seen() {
        let here = "xtask/src/tidy/tree.rs".to_owned();
        let walked = walked(paths::root(), paths::root()).unwrap();
        assert!(walked.contains(&here));
        assert!(!walked.iter().any(|path| path.starts_with("target/")));
        assert!(tracked().is_none_or(|tracked| tracked.contains(&here)));
    }

    #[test]
    fn parts_of_crates_are_told_apart() {
        assert!(in_crate("crates/a/src/lib.rs", &["src", "tests"]));
        assert!(!in_crate("crates/a/benches/lib.rs", &["src", "tests"]));
        assert!(!in_crate("xtask/a/src/lib.rs", &["src"]));
    }
}
