//! Runs `ingest` as a process of its own: what it leaves behind, and how it ends.

#[path = "../common/fresh.rs"]
mod fresh;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory for the files of a test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(fresh::directory(&std::env::temp_dir(), "backpressure-ingest-test").unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn earthquakes() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "earthquakes.ndjson"].iter().collect()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Copies the program out of the target directory, so that it looks elsewhere for a place.
fn away_from_home(scratch: &Path) -> Command {
    let program = scratch.join("ingest").with_extension(std::env::consts::EXE_EXTENSION);
    fs::copy(support::path("ingest"), &program).unwrap();
    let mut command = Command::new(program);
    command.env("TMPDIR", scratch).env("TMP", scratch).arg("--input").arg(earthquakes());
    command
}

#[test]
fn without_a_target_directory_no_file_of_others_is_touched() {
    let scratch = Scratch::new();
    for file in ["ingest.db", "ingest.db-wal", "ingest-1"] {
        fs::write(scratch.0.join(file), "not yours").unwrap();
    }
    for run in ["ingest-2", "ingest-3"] {
        let output = away_from_home(&scratch.0).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        assert!(printed(&output).contains(&format!("into {}", scratch.0.join(run).join("events.db").display())));
    }
    for file in ["ingest.db", "ingest.db-wal", "ingest-1"] {
        assert_eq!(fs::read_to_string(scratch.0.join(file)).unwrap(), "not yours");
    }
}
