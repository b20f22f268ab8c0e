//! `cargo xtask msrv`: the published crates, checked with the toolchain that `rust-version` promises.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command::Command;
use crate::workspace::Workspace;

pub fn run(workspace: &Workspace) -> Result<()> {
    let version = workspace.published().find_map(|p| p.rust_version.clone()).context("no `rust-version` to check")?;
    let cargo = match std::env::var_os("MSRV_CARGO") {
        Some(path) => named(path),
        None => {
            let rustup = || Command::new("rustup", "rustup").args(["run", &version, "cargo"]);
            ensure!(
                rustup().args(["--version"]).succeeds(),
                "Rust {version} is not installed: `rustup toolchain install {version} --profile minimal`, or name its cargo in MSRV_CARGO"
            );
            rustup()
        }
    };
    cargo
        .args(["check", "--all-features", "--target-dir", "target/msrv"])
        .args(workspace.published().flat_map(|package| ["--package", &package.name]))
        .run()
}

/// A toolchain outside rustup: its own rustc lies beside its cargo.
fn named(cargo: OsString) -> Command {
    let rustc = Path::new(&cargo).with_file_name("rustc");
    let command = Command::new(&cargo.to_string_lossy(), &cargo).env_remove("RUSTUP_TOOLCHAIN");
    if rustc.is_file() { command.env("RUSTC", &rustc.to_string_lossy()) } else { command }
}
