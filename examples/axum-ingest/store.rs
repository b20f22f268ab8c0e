//! SQLite: a table of readings, one transaction for each batch.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::fresh;

/// What a device measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) device: Box<str>,
    pub(crate) at_ms: i64,
    pub(crate) value: f64,
}

/// The database, and the one connection that writes to it.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: Arc<Mutex<Connection>>,
    file: Arc<Scratch>,
}

/// A directory with a database, which goes with the last who use it.
#[derive(Debug)]
struct Scratch {
    directory: PathBuf,
    database: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> std::io::Result<Self> {
        let directory = fresh::directory(&std::env::temp_dir(), &format!("backpressure-{name}"))?;
        Ok(Self { database: directory.join("readings.db"), directory })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.database.clone().into_os_string();
            file.push(suffix);
            let _ = std::fs::remove_file(file);
        }
        // Unless somebody else has put a file there.
        let _ = std::fs::remove_dir(&self.directory);
    }
}

impl Store {
    /// An empty database in a new directory among those for temporary files, until the last clone of this is dropped.
    pub(crate) fn fresh(name: &str) -> anyhow::Result<Self> {
        let file = Scratch::new(name).context("cannot make a directory for the database")?;
        let connection = open(&file.database).with_context(|| format!("cannot open {}", file.database.display()))?;
        connection.execute_batch(
            "CREATE TABLE reading (device TEXT NOT NULL, at_ms INTEGER NOT NULL, value REAL NOT NULL)",
        )?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), file: Arc::new(file) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.database
    }

    /// Writes all readings or none.
    pub(crate) async fn write(&self, readings: Vec<Reading>) -> rusqlite::Result<()> {
        let connection = Arc::clone(&self.connection);
        let write = move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut insert = transaction.prepare_cached("INSERT INTO reading VALUES (?1, ?2, ?3)")?;
            for Reading { device, at_ms, value } in &readings {
                insert.execute(params![device, at_ms, value])?;
            }
            drop(insert);
            transaction.commit()
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    pub(crate) fn count(&self) -> anyhow::Result<u64> {
        let rows: i64 = open(self.path())?.query_row("SELECT count(*) FROM reading", [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }

    /// Nothing is pretended: another connection takes the write lock and keeps it, as a backup would.
    pub(crate) fn lock_after(
        &self,
        after: Duration,
        lasting: Duration,
    ) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let file = Arc::clone(&self.file);
        async move {
            tokio::time::sleep(after).await;
            let other = open(&file.database)?;
            let lock = move || other.execute_batch("BEGIN IMMEDIATE").map(|()| other);
            let other = tokio::task::spawn_blocking(lock).await??;
            tokio::time::sleep(lasting).await;
            drop(other);
            Ok(())
        }
    }
}

/// With a write-ahead log and full synchronisation a committed row has reached the disk.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}
