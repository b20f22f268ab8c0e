//! The rows in PostgreSQL: each batch is one transaction, written by COPY.
//!
//! The server's `statement_timeout` does not bound a COPY that stands still, so each batch has a clock of its own here. A
//! connection whose batch was late is given up: whatever it was in the middle of is rolled back by the server, unless that was the
//! commit. What became of a commit without an answer is asked on the next connection: each transaction writes its number into a row
//! that is this writer's own. (The number that the server gives to a transaction would not do. A crash may forget it, and give it
//! to another.)

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Error, SimpleQueryMessage, Transaction};

use crate::copy_text;
use crate::event::Event;
use crate::postgres_link::{ASK_AGAIN, Link};
use crate::store::StoreError;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS earthquake (
        n        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id       TEXT   NOT NULL,
        time_ms  BIGINT NOT NULL,
        mag      DOUBLE PRECISION,
        mag_type TEXT,
        place    TEXT,
        lon      DOUBLE PRECISION NOT NULL,
        lat      DOUBLE PRECISION NOT NULL,
        depth    DOUBLE PRECISION,
        kind     TEXT   NOT NULL,
        status   TEXT,
        sig      BIGINT,
        net      TEXT,
        tsunami  BIGINT,
        felt     BIGINT,
        rms      DOUBLE PRECISION,
        gap      DOUBLE PRECISION,
        nst      BIGINT
    );
    CREATE INDEX IF NOT EXISTS earthquake_by_mag ON earthquake (mag);
    CREATE TABLE IF NOT EXISTS earthquake_writer (
        writer   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        batch    BIGINT NOT NULL
    );";

const COPY: &str = "
    COPY earthquake (id, time_ms, mag, mag_type, place, lon, lat, depth, kind, status, sig, net, tsunami, felt, rms, gap, nst)
    FROM STDIN";

const INSERT: &str = "
    INSERT INTO earthquake (id, time_ms, mag, mag_type, place, lon, lat, depth, kind, status, sig, net, tsunami, felt, rms, gap, nst)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

/// Rows in one message of a COPY.
const ROWS: usize = 256;

/// Rows in one COPY. The connection is read while they are written, but the client tells of an error at the end of a COPY only: so
/// many rows at most are sent in vain after one that is refused.
const ROWS_IN_VAIN: usize = 4_096;

/// Which rows of a batch were refused, by their place in it, and why.
pub(crate) type Refused = Vec<(usize, StoreError)>;

/// The database, and the connection to it.
#[derive(Debug)]
pub(crate) struct Postgres {
    within: Duration,
    link: Link,
    /// Whose row in `earthquake_writer` it is, and the number of the last batch.
    writer: i64,
    batch: i64,
}

impl Postgres {
    /// Makes the table, if there is none. Every batch has to be written `within` so long.
    pub(crate) async fn open(config: Config, within: Duration) -> Result<Self, StoreError> {
        let made = async {
            let mut link = Link::open(config, within).await?;
            let client = link.client().await?;
            client.batch_execute(SCHEMA).await?;
            let begin = "INSERT INTO earthquake_writer (batch) VALUES (0) RETURNING writer";
            let writer = client.query_one(begin, &[]).await?.get(0);
            Ok::<_, StoreError>((link, writer))
        };
        let (link, writer) = timeout(within, made).await.map_err(|_| StoreError::Late)??;
        Ok(Self { within, link, writer, batch: 0 })
    }

    pub(crate) async fn count(&mut self) -> Result<u64, StoreError> {
        let row = self.link.client().await?.query_one("SELECT count(*) FROM earthquake", &[]).await?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// The number of rows, at the end.
    pub(crate) async fn close(mut self) -> Result<u64, StoreError> {
        let rows = self.count().await?;
        let end = format!("DELETE FROM earthquake_writer WHERE writer = {}", self.writer);
        self.link.client().await?.batch_execute(&end).await?;
        Ok(rows)
    }

    /// Writes all events but those that are refused, in one transaction, unless nobody waits for them any more.
    pub(crate) async fn write(&mut self, events: &[Event], unwanted: impl Fn() -> bool) -> Result<Refused, StoreError> {
        self.batch += 1;
        let mut committing = None;
        let deadline = Instant::now() + self.within;
        let error = match timeout_at(deadline, self.attempt(events, unwanted, &mut committing)).await {
            Ok(Ok(refused)) => return Ok(refused),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Late,
        };
        if !error.is_answer() {
            self.link.give_up();
        }
        match committing {
            Some(refused) if !error.is_answer() => self.settle(refused, error).await,
            _ => Err(error),
        }
    }

    async fn attempt(
        &mut self,
        events: &[Event],
        unwanted: impl Fn() -> bool,
        committing: &mut Option<Refused>,
    ) -> Result<Refused, StoreError> {
        let mark = format!("UPDATE earthquake_writer SET batch = {} WHERE writer = {}", self.batch, self.writer);
        let client = self.link.client().await?;
        let mut transaction = client.transaction().await?;
        let refused = match copy(&transaction, events, &unwanted).await {
            Ok(()) => Vec::new(),
            Err(error) if error.is_about_rows() => {
                transaction.rollback().await?;
                transaction = client.transaction().await?;
                row_by_row(&mut transaction, events).await?
            }
            Err(error) => return Err(error),
        };
        let marked = transaction.simple_query(&mark).await?;
        if !matches!(marked[..], [SimpleQueryMessage::CommandComplete(1)]) {
            return Err(StoreError::Gone);
        }
        if unwanted() {
            return Err(StoreError::Unwanted);
        }
        *committing = Some(refused);
        transaction.commit().await?;
        Ok(committing.take().unwrap_or_default())
    }

    /// Asks what became of a transaction that was told to commit. The lock waits for it, should it still be on its way.
    async fn settle(&mut self, refused: Refused, error: StoreError) -> Result<Refused, StoreError> {
        let deadline = Instant::now() + self.within;
        let question = format!("SELECT batch FROM earthquake_writer WHERE writer = {} FOR UPDATE", self.writer);
        let batch = self.batch.to_string();
        loop {
            let asked = async { Ok::<_, StoreError>(self.link.client().await?.simple_query(&question).await?) };
            match timeout_at(deadline, asked).await {
                Err(_) => return Err(StoreError::Unknown),
                Ok(Ok(answer)) => match text(&answer) {
                    Some(last) if last == batch => return Ok(refused),
                    Some(_) => return Err(error),
                    None => return Err(StoreError::Unknown),
                },
                Ok(Err(_)) => self.link.give_up(),
            }
            sleep(ASK_AGAIN).await;
        }
    }
}

async fn copy(transaction: &Transaction<'_>, events: &[Event], unwanted: impl Fn() -> bool) -> Result<(), StoreError> {
    for events in events.chunks(ROWS_IN_VAIN) {
        let mut rows = pin!(transaction.copy_in::<_, Bytes>(COPY).await?);
        for events in events.chunks(ROWS) {
            if unwanted() {
                return Err(StoreError::Unwanted);
            }
            rows.send(copy_text::rows(events)).await?;
        }
        rows.finish().await?;
    }
    Ok(())
}

/// Each row in a savepoint of its own, so that one that is refused takes no other along.
async fn row_by_row(transaction: &mut Transaction<'_>, events: &[Event]) -> Result<Refused, StoreError> {
    let insert = transaction.prepare(INSERT).await?;
    let mut refused = Vec::new();
    for (place, e) in events.iter().enumerate() {
        let savepoint = transaction.savepoint("a_row").await?;
        let row: [&(dyn ToSql + Sync); 17] = [
            &e.id,
            &e.time_ms,
            &e.mag,
            &e.mag_type,
            &e.place,
            &e.lon,
            &e.lat,
            &e.depth,
            &e.kind,
            &e.status,
            &e.sig,
            &e.net,
            &e.tsunami,
            &e.felt,
            &e.rms,
            &e.gap,
            &e.nst,
        ];
        let written = savepoint.execute(&insert, &row);
        match written.await.map_err(StoreError::from) {
            Ok(_) => savepoint.commit().await?,
            Err(error) if error.is_about_rows() => {
                savepoint.rollback().await?;
                refused.push((place, error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// The first column of the first row.
fn text(answer: &[SimpleQueryMessage]) -> Option<String> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Postgres(Arc::new(error))
    }
}
