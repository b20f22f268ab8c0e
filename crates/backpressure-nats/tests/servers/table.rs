//! A database that several processes share, in which each key is there once.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, TransactionBehavior};

pub(crate) struct Table(Connection);

impl Table {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, worker TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS writes (id INTEGER NOT NULL, worker TEXT NOT NULL);",
        )?;
        Ok(Self(connection))
    }

    /// Writes a batch in one transaction: what is there already stays as it is. `before_commit` runs while nothing is committed.
    pub(crate) fn write(&mut self, worker: &str, ids: &[u64], before_commit: impl FnOnce()) -> Result<()> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for id in ids {
            transaction.execute("INSERT INTO writes VALUES (?1, ?2)", (*id as i64, worker))?;
            transaction.execute("INSERT OR IGNORE INTO rows VALUES (?1, ?2)", (*id as i64, worker))?;
        }
        before_commit();
        transaction.commit()?;
        Ok(())
    }

    pub(crate) fn rows(&self) -> Result<u64> {
        self.count("SELECT count(*) FROM rows")
    }

    /// The largest key: with as many rows as messages, each message is one row.
    pub(crate) fn last(&self) -> Result<u64> {
        self.count("SELECT max(id) FROM rows")
    }

    /// Rows written by all, those included that were there already.
    pub(crate) fn writes(&self) -> Result<u64> {
        self.count("SELECT count(*) FROM writes")
    }

    pub(crate) fn rows_of(&self, worker: &str) -> Result<u64> {
        let query = "SELECT count(*) FROM rows WHERE worker = ?1";
        Ok(self.0.query_row(query, (worker,), |row| row.get::<_, i64>(0))? as u64)
    }

    fn count(&self, query: &str) -> Result<u64> {
        Ok(self.0.query_row(query, (), |row| row.get::<_, i64>(0))? as u64)
    }
}
