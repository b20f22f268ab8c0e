//! Runs `ingest` as a process of its own: what it leaves behind, what it says last, and its exit code.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[cfg(unix)]
use support::running::Running;
use support::scratch::Scratch;

fn earthquakes() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "earthquakes.ndjson"].iter().collect()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn last_line(output: &str) -> &str {
    output.lines().last().unwrap_or_default()
}

/// `ingest` with a database in `scratch`, and a file of events read once.
fn ingest(scratch: &Scratch) -> Command {
    ingest_into(scratch.0.join("events.db"))
}

fn ingest_into(database: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(support::path("ingest"));
    command.arg("--input").arg(earthquakes()).arg("--db").arg(database);
    command
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
        let output = away_from_home(&scratch.0).arg("--keep").output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        assert!(printed(&output).contains(&format!("into {}", scratch.0.join(run).join("events.db").display())));
    }
    for file in ["ingest.db", "ingest.db-wal", "ingest-1"] {
        assert_eq!(fs::read_to_string(scratch.0.join(file)).unwrap(), "not yours");
    }
}

#[test]
fn a_database_of_its_own_is_removed_when_all_went_well() {
    let scratch = Scratch::new();
    let output = away_from_home(&scratch.0).output().unwrap();
    assert!(output.status.success() && printed(&output).contains("The database is removed"), "{}", printed(&output));
    assert!(!scratch.0.join("ingest-1").exists());
}

#[test]
fn exit_code_0_all_delivered() {
    let scratch = Scratch::new();
    let output = ingest(&scratch).output().unwrap();
    assert_eq!((output.status.code(), last_line(&printed(&output))), (Some(0), "Everything is accounted for."));
}

#[test]
fn exit_code_1_it_could_not_begin() {
    for arguments in [&["--capacity", "0"][..], &["--input", "no/such/file"], &["--db", "no/such/directory/x.db"]] {
        let output = Command::new(support::path("ingest")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let help = Command::new(support::path("ingest")).arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(printed(&help).contains("Exit codes:"), "{}", printed(&help));
}

#[test]
fn exit_code_2_a_read_only_database_refuses_the_rows() {
    let scratch = Scratch::new();
    assert!(ingest(&scratch).output().unwrap().status.success());
    let database = format!("file:{}?mode=ro", scratch.0.join("events.db").display());
    let output = ingest_into(database).output().unwrap();
    let printed = printed(&output);
    assert_eq!(last_line(&printed), "NOT DELIVERED: 1,707 events (1,707 failed).", "{printed}");
    assert_eq!(output.status.code(), Some(2));
    assert!(printed.contains("attempt to write a readonly database"), "{printed}");
}

/// A limit to the size of files stands for a disk that is full: a write beyond it fails.
#[cfg(unix)]
#[test]
fn exit_code_2_a_disk_that_is_full_takes_some_of_the_rows() {
    let scratch = Scratch::new();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$@\"", "sh"]).arg(support::path("ingest"));
    command.arg("--input").arg(earthquakes()).args(["--batch", "100", "--db"]).arg(scratch.0.join("events.db"));
    let output = command.output().unwrap();
    let printed = printed(&output);
    let last = last_line(&printed);
    assert!(last.starts_with("NOT DELIVERED: ") && last.ends_with(" failed)."), "{printed}");
    assert_eq!(output.status.code(), Some(2));
    assert!(printed.contains("✓ as many rows as were delivered"), "{printed}");
}

#[cfg(unix)]
#[test]
fn sigterm_drains_and_exits_with_0() {
    let scratch = Scratch::new();
    let mut running = Running::start(ingest(&scratch).args(["--repeat", "100000"]));
    running.wait_for("delivered");
    running.terminate();
    let (code, printed) = running.end();
    assert_eq!((code, last_line(&printed)), (Some(0), "Everything is accounted for."), "{printed}");
    assert!(printed.contains("DRAIN stopped by a signal"), "{printed}");
}

#[cfg(unix)]
#[test]
fn sigterm_while_the_database_does_not_answer_abandons_after_the_deadline_and_exits_with_2() {
    let scratch = Scratch::new();
    let stalled = ["--repeat", "100000", "--stall", "0,3600", "--drain", "0.5"];
    let mut running = Running::start(ingest(&scratch).args(stalled));
    running.wait_for("database stalled");
    running.terminate();
    let (code, printed) = running.end();
    let last = last_line(&printed);
    assert!(last.starts_with("NOT DELIVERED: ") && last.contains(" abandoned"), "{printed}");
    assert_eq!(code, Some(2));
}

#[cfg(unix)]
#[test]
fn a_second_sigterm_ends_it_at_once_with_130() {
    let scratch = Scratch::new();
    let stalled = ["--repeat", "100000", "--stall", "0,3600", "--drain", "3600"];
    let mut running = Running::start(ingest(&scratch).args(stalled));
    running.wait_for("database stalled");
    running.terminate();
    running.wait_for("stopping");
    running.terminate();
    assert_eq!(running.end().0, Some(130));
}
