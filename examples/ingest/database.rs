//! The table, and the few things that are done to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use crate::event::Event;
use crate::fresh;

/// The key is a running number, so that a replay of an event is a row of its own. The index makes this a table to
/// ask questions of, such as which were the strongest.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS earthquake (
        n        INTEGER PRIMARY KEY,
        id       TEXT    NOT NULL,
        time_ms  INTEGER NOT NULL,
        mag      REAL,
        mag_type TEXT,
        place    TEXT,
        lon      REAL    NOT NULL,
        lat      REAL    NOT NULL,
        depth    REAL,
        kind     TEXT    NOT NULL,
        status   TEXT,
        sig      INTEGER,
        net      TEXT,
        tsunami  INTEGER,
        felt     INTEGER,
        rms      REAL,
        gap      REAL,
        nst      INTEGER
    );
    CREATE INDEX IF NOT EXISTS earthquake_by_mag ON earthquake (mag);";

const INSERT: &str = "
    INSERT INTO earthquake (id, time_ms, mag, mag_type, place, lon, lat, depth, kind, status, sig, net, tsunami, felt, rms, gap, nst)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// SQLite's page cache: negative, so in KiB.
const CACHE: i64 = -64 * 1024;

/// Opens or creates the database. With a write-ahead log and full synchronisation a committed row has reached the disk.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.execute_batch(SCHEMA)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

pub(crate) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM earthquake", [], |row| row.get(0).map(i64::unsigned_abs))
}

pub(crate) fn insert(transaction: &Transaction<'_>, events: &[Event]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(INSERT)?;
    for e in events {
        insert.execute(params![
            e.id, e.time_ms, e.mag, e.mag_type, e.place, e.lon, e.lat, e.depth, e.kind, e.status, e.sig, e.net,
            e.tsunami, e.felt, e.rms, e.gap, e.nst
        ])?;
    }
    Ok(())
}

/// Takes the write lock, looking again `every` so often until it is free or `given_up`.
pub(crate) fn begin(
    connection: &Connection,
    every: Duration,
    given_up: impl Fn() -> bool,
) -> rusqlite::Result<Transaction<'_>> {
    loop {
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && !given_up() => {
                thread::sleep(every)
            }
            answer => return answer,
        }
    }
}

/// The path for a database in a new directory under `parent`. Nothing that is there already is touched.
pub(crate) fn fresh(parent: &Path) -> io::Result<PathBuf> {
    Ok(fresh::directory(parent, "ingest")?.join("events.db"))
}

/// Removes a database that [`fresh`] has named, and its directory, if nobody else has put anything there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.to_owned().into_os_string();
        file.push(suffix);
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    path.parent().map_or(Ok(()), fs::remove_dir)
}

/// Cargo's target directory, wherever it is, if this program was built into one; else the system's directory for
/// temporary files.
pub(crate) fn home() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    target.map_or_else(std::env::temp_dir, Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_database_touches_no_file_that_was_there_before() {
        let home = fresh::directory(&std::env::temp_dir(), "backpressure-ingest-fresh").unwrap();
        fs::create_dir(home.join("ingest-2")).unwrap();
        let before = ["ingest.db", "ingest.db-wal", "ingest-1", "ingest-2/events.db", "ingest-2/events.db-wal"];
        for file in before {
            fs::write(home.join(file), file).unwrap();
        }
        let paths = [fresh(&home).unwrap(), fresh(&home).unwrap()];
        assert_ne!(paths[0], paths[1]);
        for path in paths {
            assert_eq!(count(&open(&path).unwrap()).unwrap(), 0);
            remove(&path).unwrap();
            assert!(!path.parent().unwrap().exists());
        }
        let path = fresh(&home).unwrap();
        open(&path).unwrap();
        let theirs = path.with_file_name("theirs");
        fs::write(&theirs, "theirs").unwrap();
        assert!(remove(&path).is_err(), "the directory is not empty");
        assert!(theirs.exists() && !path.exists());
        for file in before {
            assert_eq!(fs::read(home.join(file)).unwrap(), file.as_bytes());
        }
        fs::remove_dir_all(home).unwrap();
    }
}
