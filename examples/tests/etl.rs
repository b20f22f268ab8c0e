//! `etl` into SQLite, killed in the middle and run again.

mod support;

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use support::running::Running;
use support::scratch::Scratch;

const RECORDS: i64 = 40_000;

fn etl(database: &Path) -> Command {
    let mut command = Command::new(support::path("etl"));
    command.args(["--records", &RECORDS.to_string(), "--db"]).arg(database);
    command
}

fn number(database: &Path, question: &str) -> i64 {
    Connection::open(database).unwrap().query_row(question, [], |row| row.get(0)).unwrap_or(0)
}

#[test]
fn what_is_killed_and_run_again_loses_and_doubles_nothing() {
    let scratch = Scratch::new();
    let database = scratch.0.join("rows.db");
    let count = || number(&database, "SELECT count(*) FROM etl_quake");
    let mut before = 0;
    for _ in 0..4 {
        let running = Running::start(&mut etl(&database));
        while count() < before + 2_000 {}
        drop(running); // kill -9
        before = count();
        assert_eq!(before, number(&database, "SELECT next FROM etl_checkpoint"), "rows and checkpoint are one");
    }
    assert!(before < RECORDS, "it was killed before its end");
    let output = etl(&database).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains(&format!("from record {before}\n")), "{printed}");
    assert!(!printed.contains(" 0 failures"), "{printed}");
    assert_eq!(count(), RECORDS);
    assert_eq!(number(&database, "SELECT count(DISTINCT position) FROM etl_quake"), RECORDS);
    assert_eq!(number(&database, "SELECT max(position) FROM etl_quake"), RECORDS - 1);
    let matching =
        "SELECT count(*) FROM etl_quake a JOIN etl_quake b ON a.position = b.position % 1707 AND a.id = b.id";
    assert_eq!(number(&database, matching), RECORDS, "each is the record that it says");
    let again = etl(&database).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 records in this run"));
}

#[test]
fn a_second_run_beside_the_first_is_told_so_and_doubles_nothing() {
    let scratch = Scratch::new();
    let database = scratch.0.join("rows.db");
    let mut both = [Running::start(&mut etl(&database)), Running::start(&mut etl(&database))];
    both.iter_mut().for_each(|running| drop(running.wait_for("from record")));
    let ends = both.map(|running| running.end().0);
    assert!(ends.contains(&Some(1)), "{ends:?}");
    let rows = number(&database, "SELECT count(*) FROM etl_quake");
    assert_eq!(rows, number(&database, "SELECT next FROM etl_checkpoint"));
    assert_eq!(rows, number(&database, "SELECT count(DISTINCT position) FROM etl_quake"));
}
