//! PostgreSQL: each batch is copied beside the table, and from there into it, in one transaction with a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use backpressure::controller::Verdict;
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::{Config, Error};

use crate::copy_columns::{escaped, number, word};
use crate::postgres_link::Link;
use crate::writer::{Row, Totals, WorkerTotals, WriteError, Writer};

/// How long the server may take for a batch. Its own time limits do not bound a COPY that stands still.
const WITHIN: Duration = Duration::from_secs(20);

const SCHEMA: &str = "
    CREATE TABLE earthquake (
        number  BIGINT PRIMARY KEY,
        worker  TEXT   NOT NULL,
        event   TEXT   NOT NULL,
        time_ms BIGINT NOT NULL,
        mag     DOUBLE PRECISION,
        place   TEXT
    );
    CREATE TABLE worker (
        name        TEXT PRIMARY KEY,
        rows        BIGINT NOT NULL,
        prevented   BIGINT NOT NULL,
        redelivered BIGINT NOT NULL,
        batches     BIGINT NOT NULL
    );";

const ARRIVALS: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS arrived (LIKE earthquake) ON COMMIT DELETE ROWS";

const COPY: &str = "COPY arrived (event, time_ms, mag, place, number, worker) FROM STDIN";

/// In the order of the keys: two workers that were given the same messages wait for each other, and not in a circle.
const MOVE: &str = "
    INSERT INTO earthquake SELECT * FROM arrived ORDER BY number
    ON CONFLICT (number) DO NOTHING";

const TALLY: &str = "
    INSERT INTO worker (name, rows, prevented, redelivered, batches) VALUES ($1, $2, $3, $4, 1)
    ON CONFLICT (name) DO UPDATE SET
        rows = worker.rows + excluded.rows, prevented = worker.prevented + excluded.prevented,
        redelivered = worker.redelivered + excluded.redelivered, batches = worker.batches + 1";

#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    link: Arc<Mutex<Link>>,
}

impl Postgres {
    /// Makes the tables, in a schema that must not be there.
    pub(crate) async fn create(config: Config, schema: &str) -> Result<(), WriteError> {
        let make = format!("CREATE SCHEMA {schema}; SET search_path = {schema}; {SCHEMA}");
        let made = async { Link::open(config, WITHIN).await?.client().await?.batch_execute(&make).await };
        Ok(timeout(WITHIN, made).await.map_err(|_| late())??)
    }

    pub(crate) async fn open(config: Config) -> Result<Self, WriteError> {
        let link = timeout(WITHIN, Link::open(config, WITHIN)).await.map_err(|_| late())??;
        Ok(Self { link: Arc::new(Mutex::new(link)) })
    }
}

impl Writer for Postgres {
    async fn write(&self, worker: &str, rows: Vec<Row>) -> Result<(), WriteError> {
        let mut link = self.link.lock().await;
        match timeout(WITHIN, write(&mut link, worker, &rows)).await {
            Ok(Ok(())) => Ok(()),
            // The server has said so, and waits for what comes next.
            Ok(Err(error)) if is_answer(&error) => Err(error.into()),
            // What became of it is not known. It is delivered again, and the key prevents that it is there twice.
            other => {
                link.give_up();
                Err(other.map_or_else(|_| late(), |result| result.map_or_else(WriteError::from, |()| late())))
            }
        }
    }

    async fn totals(&self) -> Result<Totals, WriteError> {
        let mut link = self.link.lock().await;
        match timeout(WITHIN, totals(&mut link)).await {
            Ok(totals) => Ok(totals?),
            Err(_) => {
                link.give_up();
                Err(late())
            }
        }
    }
}

async fn write(link: &mut Link, worker: &str, rows: &[Row]) -> Result<(), Error> {
    let client = link.client().await?;
    client.batch_execute(ARRIVALS).await?;
    let transaction = client.transaction().await?;
    {
        let mut copy = std::pin::pin!(transaction.copy_in::<_, Bytes>(COPY).await?);
        copy.send(text(worker, rows)).await?;
        copy.finish().await?;
    }
    let new = transaction.execute(MOVE, &[]).await?;
    let redelivered = rows.iter().filter(|row| row.delivered > 1).count() as u64;
    let [new, prevented, redelivered] = [new, rows.len() as u64 - new, redelivered].map(u64::cast_signed);
    transaction.execute(TALLY, &[&worker, &new, &prevented, &redelivered]).await?;
    transaction.commit().await
}

fn text(worker: &str, rows: &[Row]) -> Bytes {
    let mut text = String::with_capacity(rows.len() * 128);
    for row in rows {
        escaped(&mut text, &row.quake.event);
        number(&mut text, Some(row.quake.time_ms));
        number(&mut text, row.quake.mag);
        word(&mut text, row.quake.place.as_deref());
        number(&mut text, Some(row.number));
        word(&mut text, Some(worker));
        text.push('\n');
    }
    text.into()
}

async fn totals(link: &mut Link) -> Result<Totals, Error> {
    let client = link.client().await?;
    let count = |row: &tokio_postgres::Row, column| row.get::<_, i64>(column).unsigned_abs();
    let rows = count(&client.query_one("SELECT count(*) FROM earthquake", &[]).await?, 0);
    let all = "SELECT name, rows, prevented, redelivered, batches FROM worker ORDER BY name";
    let workers = client.query(all, &[]).await?;
    let workers = workers.iter().map(|row| WorkerTotals {
        name: row.get(0),
        rows: count(row, 1),
        prevented: count(row, 2),
        redelivered: count(row, 3),
        batches: count(row, 4),
    });
    Ok(Totals { rows, workers: workers.collect() })
}

fn is_answer(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| error.parsed_severity() == Some(Severity::Error))
}

fn late() -> WriteError {
    WriteError { message: format!("PostgreSQL has not answered in {WITHIN:?}"), verdict: Verdict::Retry }
}

impl From<Error> for WriteError {
    /// Data, integrity, authorisation, a table that is not there: no other try is of use, except for the rest of a batch.
    fn from(error: Error) -> Self {
        let is_final = |code: &str| ["22", "23", "28", "3D", "42"].iter().any(|class| code.starts_with(class));
        let verdict = match error.code() {
            Some(code) if is_final(code.code()) => Verdict::Final,
            _ => Verdict::Retry,
        };
        let message = error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
        Self { message, verdict }
    }
}
