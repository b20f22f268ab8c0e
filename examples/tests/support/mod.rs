//! Running an example as a user would.
//!
//! `cargo test` builds the examples before it runs the tests, into the directory next to the one this test is in.

use std::env::consts::EXE_EXTENSION;
use std::process::Command;

/// Runs an example; answers what it printed.
pub(crate) fn run(name: &str) -> String {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("it is target/<profile>/deps/<test>");
    let example = profile.join("examples").join(name).with_extension(EXE_EXTENSION);
    let output = Command::new(&example).output().unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo test --test` does not build examples, `cargo test` does", example.display())
    });
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {}\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
    printed
}
