//! `cargo xtask deny`: licences, sources, banned crates and security advisories of what the published crates depend on, by
//! `cargo-deny` and `deny.toml`.

use anyhow::{Context, Result, ensure};

use crate::command::Command;

const CHECK: [&str; 2] = ["deny", "check"];

pub fn run() -> Result<()> {
    ensure!(
        Command::cargo(&["deny", "--version"]).succeeds(),
        "cargo-deny is not installed: `cargo install --locked cargo-deny`"
    );
    Command::cargo(&CHECK).args(["bans", "licenses", "sources"]).run()?;
    Command::cargo(&CHECK).args(["advisories"]).run().context(
        "bans, licences and sources are in order, but the advisories were not checked or there are some; the check needs the \
         database at https://github.com/rustsec/advisory-db, which cargo-deny fetches",
    )
}
