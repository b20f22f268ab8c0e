//! SQLite, which any number of processes may share: one of them writes at a time, the others wait.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backpressure::controller::Verdict;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use tokio::task::spawn_blocking;

use crate::writer::{Row, Totals, WorkerTotals, WriteError, Writer};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS earthquake (
        number  INTEGER PRIMARY KEY,
        worker  TEXT    NOT NULL,
        event   TEXT    NOT NULL,
        time_ms INTEGER NOT NULL,
        mag     REAL,
        place   TEXT
    );
    CREATE TABLE IF NOT EXISTS worker (
        name        TEXT PRIMARY KEY,
        rows        INTEGER NOT NULL,
        prevented   INTEGER NOT NULL,
        redelivered INTEGER NOT NULL,
        batches     INTEGER NOT NULL
    );";

const INSERT: &str = "
    INSERT INTO earthquake (number, worker, event, time_ms, mag, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (number) DO NOTHING";

const TALLY: &str = "
    INSERT INTO worker (name, rows, prevented, redelivered, batches) VALUES (?1, ?2, ?3, ?4, 1)
    ON CONFLICT (name) DO UPDATE SET
        rows = rows + excluded.rows, prevented = prevented + excluded.prevented,
        redelivered = redelivered + excluded.redelivered, batches = batches + 1";

#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    async fn with<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, WriteError> {
        let connection = Arc::clone(&self.connection);
        let done = spawn_blocking(move || act(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))).await;
        match done {
            Ok(result) => result.map_err(WriteError::from),
            Err(gone) => Err(WriteError { message: gone.to_string(), verdict: Verdict::Retry }),
        }
    }
}

impl Writer for Sqlite {
    async fn write(&self, worker: &str, rows: Vec<Row>) -> Result<(), WriteError> {
        let worker = worker.to_owned();
        self.with(move |connection| write(connection, &worker, &rows)).await
    }

    async fn totals(&self) -> Result<Totals, WriteError> {
        self.with(|connection| totals(connection)).await
    }
}

/// Begins as a writer: one that read first and then wrote would be refused at once whenever another had written in between.
fn write(connection: &mut Connection, worker: &str, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut new = 0;
    {
        let mut insert = transaction.prepare_cached(INSERT)?;
        for Row { number, quake, .. } in rows {
            let number = i64::try_from(*number).unwrap_or(i64::MAX);
            new += insert.execute(params![number, worker, quake.event, quake.time_ms, quake.mag, quake.place])?;
        }
        let redelivered = rows.iter().filter(|row| row.delivered > 1).count();
        let [new, prevented, redelivered] = [new, rows.len() - new, redelivered].map(|count| count as i64);
        transaction.prepare_cached(TALLY)?.execute(params![worker, new, prevented, redelivered])?;
    }
    transaction.commit()
}

fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let rows = connection.query_row("SELECT count(*) FROM earthquake", [], |row| row.get(0).map(i64::unsigned_abs))?;
    let mut workers =
        connection.prepare_cached("SELECT name, rows, prevented, redelivered, batches FROM worker ORDER BY name")?;
    let number = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let workers = workers.query_map([], |row| {
        Ok(WorkerTotals {
            name: row.get(0)?,
            rows: number(row, 1)?,
            prevented: number(row, 2)?,
            redelivered: number(row, 3)?,
            batches: number(row, 4)?,
        })
    })?;
    Ok(Totals { rows, workers: workers.collect::<Result<_, _>>()? })
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        let verdict = match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Verdict::Final,
            _ => Verdict::Retry,
        };
        Self { message: error.to_string(), verdict }
    }
}
