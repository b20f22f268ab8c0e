//! `ingest` into PostgreSQL: a real server, which each test starts for itself.
#![allow(clippy::print_stdout, reason = "it says why it skips")]

mod support;

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use support::cutter::Cutter;
use support::nats;
use support::postgres::{Server, programs};
use support::running::Running;
use support::scratch::Scratch;

const COUNT: &str = "SELECT count(*) FROM earthquake";

fn main() -> ExitCode {
    let missing = programs().err();
    if let Some(sentence) = &missing {
        println!("skipped: {sentence}");
    }
    let trial = |name, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
        .with_ignored_flag(missing.is_some())
    };
    if nats::server().is_none() {
        println!("skipped: there is no nats-server here: install the package nats-server");
    }
    libtest_mimic::run(
        &Arguments::from_args(),
        vec![
            trial("every_event_is_a_row", every_event_is_a_row),
            trial("a_row_that_is_refused_takes_no_other_along", a_row_that_is_refused_takes_no_other_along),
            trial(
                "a_batch_that_stands_still_is_late_and_is_written_once",
                a_batch_that_stands_still_is_late_and_is_written_once,
            ),
            trial("a_server_that_crashes_costs_and_doubles_nothing", a_server_that_crashes_costs_and_doubles_nothing),
            trial(
                "a_commit_without_an_answer_is_looked_up_and_never_repeated",
                a_commit_without_an_answer_is_looked_up,
            ),
            trial("etl_killed_and_run_again_loses_and_doubles_nothing", etl_killed_and_run_again),
            trial("exit_code_1_without_a_server", exit_code_1_without_a_server),
            trial(
                "workers_that_pull_from_jetstream_are_killed_and_every_record_is_a_row",
                workers_that_pull_from_jetstream_are_killed,
            )
            .with_ignored_flag(missing.is_some() || nats::server().is_none()),
        ],
    )
    .exit_code()
}

fn earthquakes() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "earthquakes.ndjson"].iter().collect()
}

fn ingest(server: &Server, input: PathBuf) -> Command {
    ingest_into(&server.url(), input)
}

fn ingest_into(url: &str, input: PathBuf) -> Command {
    let mut command = Command::new(support::path("ingest"));
    command.arg("--input").arg(input).args(["--database", url]);
    command
}

fn every_event_is_a_row() {
    let server = Server::start();
    let output = ingest(&server, earthquakes()).args(["--repeat", "5"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("✓ as many rows as were delivered"), "{printed}");
    assert_eq!(server.number(COUNT), 5 * 1707);
    // What is read back is what was written, to the last bit.
    let input = fs::read_to_string(earthquakes()).unwrap();
    let lines: Vec<serde_json::Value> = input.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (runtime, client) = server.client();
    let rows = "SELECT id, mag, place, depth FROM earthquake ORDER BY n LIMIT 1707";
    for (row, line) in runtime.block_on(client.query(rows, &[])).unwrap().iter().zip(&lines) {
        assert_eq!(row.get::<_, &str>(0), line["id"]);
        assert_eq!(row.get::<_, Option<f64>>(1), line["mag"].as_f64());
        assert_eq!(row.get::<_, Option<&str>>(2), line["place"].as_str());
        assert_eq!(row.get::<_, Option<f64>>(3), line["depth"].as_f64());
    }
}

/// PostgreSQL takes no zero byte in a text; JSON does.
fn a_row_that_is_refused_takes_no_other_along() {
    let (server, scratch) = (Server::start(), Scratch::new());
    let (mut input, mut poisoned) = (String::new(), 0);
    for (at, line) in fs::read_to_string(earthquakes()).unwrap().lines().enumerate() {
        let is_poison = at % 700 == 350;
        poisoned += i64::from(is_poison);
        let line = if is_poison { line.replacen("\"id\":\"", "\"id\":\"\\u0000", 1) } else { line.to_owned() };
        writeln!(input, "{line}").unwrap();
    }
    let file = scratch.0.join("poisoned.ndjson");
    fs::write(&file, input).unwrap();
    let output = ingest(&server, file).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!((poisoned, output.status.code()), (2, Some(2)), "{printed}");
    assert!(printed.contains("NOT DELIVERED: 2 events (2 failed)."), "{printed}");
    assert!(printed.contains("✓ as many rows as were delivered"), "{printed}");
    assert!(printed.contains("invalid byte sequence"), "{printed}");
    assert_eq!(server.number(COUNT), 1707 - 2);
}

/// How many there are by now, in a table that may not be there yet.
fn rows(server: &Server) -> i64 {
    let is_there = "SELECT count(*) FROM pg_tables WHERE tablename = 'earthquake'";
    if server.number(is_there) == 1 { server.number(COUNT) } else { 0 }
}

/// Somebody has locked the table: no time limit of the server's is set, so only the clock of `ingest` ends the batch.
fn a_batch_that_stands_still_is_late_and_is_written_once() {
    let server = Server::start();
    let slowly = ["--repeat", "3", "--rate", "2000", "--write-within", "2"];
    let running = Running::start(ingest(&server, earthquakes()).args(slowly));
    while rows(&server) == 0 {}
    let (runtime, mut client) = server.client();
    let lock = runtime.block_on(client.transaction()).unwrap();
    runtime.block_on(lock.batch_execute("LOCK TABLE earthquake IN SHARE ROW EXCLUSIVE MODE")).unwrap();
    // The first connection is given up when its batch is late, and another one takes its place.
    let who = "SELECT coalesce(max(pid), 0)::bigint FROM pg_locks WHERE NOT granted";
    let mut waited = HashSet::new();
    while waited.len() < 2 {
        waited.extend(Some(server.number(who)).filter(|pid| *pid != 0));
    }
    runtime.block_on(lock.rollback()).unwrap();
    let (code, printed) = running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("Everything is accounted for."), "{printed}");
    assert_eq!(server.number(COUNT), 3 * 1707);
}

fn a_server_that_crashes_costs_and_doubles_nothing() {
    let mut server = Server::start();
    let running = Running::start(ingest(&server, earthquakes()).args(["--repeat", "60", "--rate", "20000"]));
    for enough in [5_000, 50_000] {
        while rows(&server) < enough {}
        server.crash();
        drop(server.client());
    }
    let (code, printed) = running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("Everything is accounted for."), "{printed}");
    assert_eq!(server.number(COUNT), 60 * 1707, "{printed}");
}

/// Some commits reach the server and their answers are lost; others are lost themselves. The client sees the same.
fn a_commit_without_an_answer_is_looked_up() {
    let server = Server::start();
    let cutter = Cutter::start(server.port());
    let url = server.url().replace(&server.port().to_string(), &cutter.port().to_string());
    let output = ingest_into(&url, earthquakes()).args(["--batch", "100"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("Everything is accounted for."), "{printed}");
    assert!(cutter.answers_lost() >= 2 && cutter.commits_lost() >= 2, "{cutter:?}");
    assert_eq!(server.number(COUNT), 1707, "{printed}");
}

fn etl_killed_and_run_again() {
    const RECORDS: i64 = 20_000;
    let server = Server::start();
    let first = |records: i64| {
        let mut command = Command::new(support::path("etl"));
        command.args(["--records", &records.to_string(), "--database", &server.url()]);
        command
    };
    let etl = || first(RECORDS);
    assert!(first(1).output().unwrap().status.success(), "the tables are there");
    let next = || server.number("SELECT next FROM etl_checkpoint");
    let mut before = next();
    for _ in 0..3 {
        let running = Running::start(&mut etl());
        while next() < before + 2_000 {}
        drop(running); // kill -9
        before = next();
    }
    assert!(before < RECORDS, "it was killed before its end");
    let output = etl().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for question in ["count(*)", "count(DISTINCT position)", "max(position) + 1"] {
        assert_eq!(server.number(&format!("SELECT {question} FROM etl_quake")), RECORDS, "{question}");
    }
}

fn exit_code_1_without_a_server() {
    let mut command = Command::new(support::path("ingest"));
    let output = command.args(["--database", "postgres://nobody@127.0.0.1:1/none"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot open postgres://127.0.0.1:1/none"), "{said}");
}

fn workers_that_pull_from_jetstream_are_killed() {
    let server = Server::start();
    let mut command = Command::new(support::path("jetstream-ingest"));
    command.args(["--records", "2000", "--chaos", "--seconds", "4", "--database", &server.url()]);
    let output = command.output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
    let last = printed.lines().last().unwrap_or_default();
    assert!(last.contains("nothing lost, nothing twice") && !last.contains(" 0 workers killed"), "{printed}");
    let rows = server.number("SELECT count(*) FROM jetstream_ingest_0.earthquake");
    assert!(rows >= 2_000 && last.contains(&format!("rows {rows},")), "{rows} rows: {printed}");
    let by_workers = "SELECT sum(rows)::bigint FROM jetstream_ingest_0.worker";
    assert_eq!(server.number(by_workers), rows, "{printed}");
    // A schema that is there already is somebody's.
    let again = command.output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("cannot make the schema jetstream_ingest_0"), "{said}");
}
