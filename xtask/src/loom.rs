//! `cargo xtask loom`: the models in `crates/*/tests/loom*.rs`, under every interleaving within the bound.
//!
//! They are built with `--cfg backpressure_loom`, which swaps the atomics and locks of the crates for loom's. The flag
//! would invalidate everything else that is built, so these builds have a target directory of their own.

use anyhow::{Result, ensure};

use crate::command::Command;
use crate::workspace::{Target, Workspace};

const FLAG: &str = "--cfg backpressure_loom";

/// Two forced switches find nearly every bug there is to find; three cost minutes.
const PREEMPTIONS: &str = "2";

pub fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let packages = packages(workspace);
    ensure!(!packages.is_empty(), "no crate has a test target `loom*`");
    command(&packages, filter).run()
}

/// Those that have a model.
fn packages(workspace: &Workspace) -> Vec<&str> {
    let has_model = |target: &Target| target.name.starts_with("loom");
    let with_model = workspace.packages.iter().filter(|package| package.targets_of_kind("test").any(has_model));
    with_model.map(|package| package.name.as_str()).collect()
}

fn command(packages: &[&str], filter: Option<&str>) -> Command {
    let flags = match std::env::var("RUSTFLAGS") {
        Ok(theirs) if !theirs.is_empty() => format!("{theirs} {FLAG}"),
        _ => FLAG.into(),
    };
    let preemptions = std::env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| PREEMPTIONS.into());
    Command::cargo(&["test", "--release", "--target-dir", "target/loom", "--test", "loom*"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(filter)
        // The release profile is tuned for benches; a model wants to be built soon rather than to run a little faster.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("LOOM_MAX_PREEMPTIONS", &preemptions)
        .env("RUSTFLAGS", &flags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn only_crates_with_a_model_are_run() {
        let package = |name: &str, target: &str| Package {
            name: name.into(),
            targets: vec![Target { name: target.into(), kinds: vec!["test".into()] }],
            ..Package::default()
        };
        let workspace = Workspace { packages: vec![package("a", "loom"), package("b", "laws")] };
        assert_eq!(packages(&workspace), ["a"]);
    }

    #[test]
    fn the_models_have_their_own_flag_and_directory() {
        let shown = command(&["a"], Some("wakes")).shown;
        assert!(shown.contains("--cfg backpressure_loom"), "{shown}");
        assert!(shown.ends_with("--target-dir target/loom --test 'loom*' --package a wakes"), "{shown}");
    }
}
