//! Running an example as a user would.
//!
//! `cargo test` builds the examples before it runs the tests, into the directory next to the one this test is in.
#![allow(dead_code, reason = "each test has a use for some of it")]

pub(crate) mod cutter;
pub(crate) mod nats;
pub(crate) mod postgres;
pub(crate) mod running;
pub(crate) mod scratch;
pub(crate) mod serving;

use std::env::consts::EXE_EXTENSION;
use std::path::PathBuf;
use std::process::Command;

/// Where an example is.
pub(crate) fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("it is target/<profile>/deps/<test>");
    let example = profile.join("examples").join(name).with_extension(EXE_EXTENSION);
    let advice = "`cargo test --test` does not build examples, `cargo test` does";
    assert!(example.is_file(), "there is no {}; {advice}", example.display());
    example
}

/// Runs an example; answers what it printed.
pub(crate) fn run(name: &str) -> String {
    let output = Command::new(path(name)).output().expect("the example runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {}\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
    printed
}
