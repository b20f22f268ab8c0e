//! `cargo xtask msrv`: the published crates, checked each with the toolchain that its `rust-version` promises.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::command::Command;
use crate::workspace::Workspace;

/// What is done about a toolchain that is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Fails,
    /// Its crates are named as not checked.
    Skips,
}

pub fn run(workspace: &Workspace, missing: Missing) -> Result<()> {
    let named_cargo = std::env::var_os("MSRV_CARGO");
    let mut checked = 0;
    for (version, packages) in by_version(workspace) {
        let cargo = match &named_cargo {
            // One toolchain is named: it is for those that promise the oldest.
            Some(_) if checked > 0 => {
                println!("not checked: {} on Rust {version}, since MSRV_CARGO names one cargo", packages.join(", "));
                continue;
            }
            Some(path) => named(path),
            None => {
                let rustup = || Command::new("rustup", "rustup").args(["run", version, "cargo"]);
                let is_installed = rustup().args(["--version"]).succeeds();
                if !is_installed && missing == Missing::Skips {
                    println!("not checked: {} on Rust {version}, which is not installed", packages.join(", "));
                    continue;
                }
                ensure!(
                    is_installed,
                    "Rust {version} is not installed: `rustup toolchain install {version} --profile minimal`, or name its cargo in MSRV_CARGO"
                );
                rustup()
            }
        };
        cargo
            .args(["check", "--all-features", "--target-dir", "target/msrv"])
            .args(packages.iter().flat_map(|package| ["--package", package]))
            .run()?;
        checked += 1;
    }
    ensure!(checked > 0 || missing == Missing::Skips, "no `rust-version` to check");
    Ok(())
}

/// The published packages by the version that they promise, the oldest first.
fn by_version(workspace: &Workspace) -> Vec<(&str, Vec<&str>)> {
    let mut versions: Vec<(&str, Vec<&str>)> = Vec::new();
    for package in workspace.published() {
        let Some(version) = package.rust_version.as_deref() else { continue };
        match versions.iter_mut().find(|(known, _)| *known == version) {
            Some((_, packages)) => packages.push(&package.name),
            None => versions.push((version, vec![&package.name])),
        }
    }
    versions.sort_by_key(|(version, _)| number(version));
    versions
}

fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}

/// A toolchain outside rustup: its own rustc lies beside its cargo.
fn named(cargo: &OsStr) -> Command {
    let rustc = Path::new(cargo).with_file_name("rustc");
    let command = Command::new(&cargo.to_string_lossy(), cargo).env_remove("RUSTUP_TOOLCHAIN");
    if rustc.is_file() { command.env("RUSTC", &rustc.to_string_lossy()) } else { command }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn each_version_is_checked_with_its_own_packages_and_the_oldest_first() {
        let package = |name: &str, version: &str, published| Package {
            name: name.into(),
            published,
            rust_version: Some(version.into()),
            ..Package::default()
        };
        let packages = vec![
            package("new", "1.100", true),
            package("old", "1.85", true),
            package("tool", "1.20", false),
            package("older", "1.85", true),
        ];
        let workspace = Workspace { packages };
        assert_eq!(by_version(&workspace), [("1.85", vec!["old", "older"]), ("1.100", vec!["new"])]);
    }
}
