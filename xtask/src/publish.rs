//! `cargo xtask publish`: whether the crates could be published as they are. Nothing is uploaded.

use anyhow::Result;

use crate::command::Command;

/// Any published crate will do: the registry answers for it or not at all.
const PROBE: [&str; 2] = ["info", "tower-service"];

pub fn run() -> Result<()> {
    if Command::cargo(&PROBE).succeeds() {
        return Command::cargo(&["publish", "--workspace", "--dry-run"]).args(dirty()).run();
    }
    println!(
        "the registry does not answer (`cargo {}`): the packages are put together, and not built against it",
        PROBE.join(" ")
    );
    Command::cargo(&["package", "--workspace", "--offline", "--no-verify"]).args(dirty()).run()
}

/// Work in progress is looked at, too. In CI, where `CI` is set, there is none.
fn dirty() -> Option<&'static str> {
    std::env::var_os("CI").is_none().then_some("--allow-dirty")
}
