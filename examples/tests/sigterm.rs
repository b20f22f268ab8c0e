//! Every server drains on SIGTERM, and its exit code says whether it could.
#![cfg(unix)]

mod support;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::serving::{request, serve};

const READINGS: &str = "{\"device\":\"a\",\"at_ms\":1,\"value\":1}\n{\"device\":\"a\",\"at_ms\":2,\"value\":2}\n";

/// What the report of a shutdown says of a stage: its line without its name and the time that it took.
fn stage<'a>(printed: &'a str, name: &str) -> &'a str {
    let mut lines = printed.lines().map(str::trim).filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = lines.next().unwrap_or_else(|| panic!("no stage {name}: {printed}"));
    line.trim().splitn(3, ' ').nth(2).unwrap_or_default().trim()
}

#[test]
fn axum_ingest_writes_what_it_has_accepted_and_exits_with_0() {
    let server = serve("axum-ingest");
    assert!(request(&server.address, "POST /readings", READINGS).starts_with("HTTP/1.1 202"));
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("2 lines accepted, 0 readings failed") && printed.contains("database 2 rows"),
        "{printed}"
    );
}

#[test]
fn axum_ingest_with_a_locked_database_ends_at_its_deadline_and_exits_with_2() {
    let server = serve("axum-ingest");
    let lock = Connection::open(&server.database).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(request(&server.address, "POST /readings", READINGS).starts_with("HTTP/1.1 202"));
    let asked = Instant::now();
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(2), "{printed}");
    assert!(
        printed.contains("2 lines accepted, 0 readings failed") && printed.contains("database 0 rows"),
        "{printed}"
    );
    assert_eq!(stage(&printed, "readings"), "0 delivered while draining, 0 failed, 2 abandoned");
    assert!(asked.elapsed() < Duration::from_secs(30), "the database is locked for longer than a drain may take");
}

#[test]
fn axum_adaptive_exits_with_0() {
    let server = serve("axum-adaptive");
    assert!(request(&server.address, "GET /report", "").starts_with("HTTP/1.1 200"));
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(0), "{printed}");
    let requests = stage(&printed, "requests");
    assert!(requests.contains(" 0 abandoned, 0 streams cut off"), "{printed}");
    assert_eq!(stage(&printed, "connections"), "ended");
}

#[test]
fn tonic_ingest_exits_with_0() {
    let server = serve("tonic-ingest");
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(stage(&printed, "calls"), "0 finished while draining, 0 abandoned, 0 streams cut off, 0 shed");
    assert_eq!(stage(&printed, "readings"), "0 delivered while draining, 0 failed, 0 abandoned");
    assert!(printed.contains("(SIGTERM)\n  calls ") && printed.contains("0 readings accepted, 0 failed"), "{printed}");
}
