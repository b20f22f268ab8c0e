//! Every server drains on SIGTERM, and its exit code says whether it could.
#![cfg(unix)]

mod support;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::serving::{request, serve};

const READINGS: &str = "{\"device\":\"a\",\"at_ms\":1,\"value\":1}\n{\"device\":\"a\",\"at_ms\":2,\"value\":2}\n";

#[test]
fn axum_ingest_writes_what_it_has_accepted_and_exits_with_0() {
    let server = serve("axum-ingest");
    assert!(request(&server.address, "POST /readings", READINGS).starts_with("HTTP/1.1 202"));
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("2 lines accepted") && printed.contains("database 2 rows"), "{printed}");
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
    assert!(printed.contains(", 2 abandoned") && printed.contains("database 0 rows"), "{printed}");
    assert!(asked.elapsed() < Duration::from_secs(30), "the database is locked for longer than a drain may take");
}

#[test]
fn axum_adaptive_exits_with_0() {
    let server = serve("axum-adaptive");
    assert!(request(&server.address, "GET /report", "").starts_with("HTTP/1.1 200"));
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains(" 0 abandoned"), "{printed}");
}

#[test]
fn tonic_ingest_exits_with_0() {
    let server = serve("tonic-ingest");
    server.running.terminate();
    let (code, printed) = server.running.end();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("(SIGTERM)\n  calls ") && printed.contains("0 readings accepted, 0 failed"), "{printed}");
}
