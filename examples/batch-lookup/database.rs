//! A table of users.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

/// One connection, which works on one query at a time.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Mutex<Connection>,
    queries: AtomicU64,
}

/// The name of a user; every eighth is missing.
pub(crate) fn name(key: i64) -> Option<String> {
    (key % 8 != 0).then(|| format!("user {key}"))
}

impl Database {
    pub(crate) fn with_rows(rows: i64) -> anyhow::Result<Arc<Self>> {
        let mut connection = Connection::open_in_memory()?;
        connection.set_prepared_statement_cache_capacity(256);
        connection.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")?;
        let transaction = connection.transaction()?;
        for key in 0..rows {
            if let Some(name) = name(key) {
                transaction.prepare_cached("INSERT INTO users VALUES (?1, ?2)")?.execute(params![key, name])?;
            }
        }
        transaction.commit()?;
        Ok(Arc::new(Self { connection: Mutex::new(connection), queries: AtomicU64::new(0) }))
    }

    /// The row of one key.
    pub(crate) fn row(&self, key: i64) -> anyhow::Result<Option<String>> {
        self.query(|connection| {
            let mut select = connection.prepare_cached("SELECT name FROM users WHERE id = ?1")?;
            select.query_row([key], |row| row.get(0)).optional()
        })
    }

    /// The rows of many keys, in their order.
    pub(crate) fn rows(&self, keys: &[i64]) -> anyhow::Result<Vec<Option<String>>> {
        let places = vec!["?"; keys.len()].join(",");
        let mut found = self.query(|connection| {
            let sql = format!("SELECT id, name FROM users WHERE id IN ({places})");
            let mut select = connection.prepare_cached(&sql)?;
            let rows = select.query_map(params_from_iter(keys), |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<HashMap<i64, String>, _>>()
        })?;
        Ok(keys.iter().map(|key| found.remove(key)).collect())
    }

    /// Queries so far.
    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    fn query<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> anyhow::Result<T> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        Ok(query(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))?)
    }
}
