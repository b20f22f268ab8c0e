//! The flush target: a [`Service`] that writes each batch into SQLite or PostgreSQL in one transaction.
//!
//! SQLite has one writer at a time, so one thread owns the one connection that writes. It lives outside the async runtime:
//! a commit waits for the disk. A task owns the one connection to PostgreSQL.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use backpressure::FlushOutcome;
use backpressure::controller::Verdict;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tower_service::Service;

use crate::database;
use crate::event::Event;
use crate::postgres::{Postgres, Refused};
use crate::postgres_link;

/// Which database.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres { config: Box<tokio_postgres::Config>, within: Duration },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres { config, .. } => f.write_str(&postgres_link::place(config)),
        }
    }
}

/// How often a writer that finds the database locked looks again.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// How long a locked database is waited for before the write counts as failed and the controller tries it again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a batch was not written; none of it was. Or why one row was not.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Sqlite(Arc<rusqlite::Error>),
    #[error(transparent)]
    Postgres(Arc<tokio_postgres::Error>),
    #[error("the database has not written it in time")]
    Late,
    #[error("the connection broke at the commit, and the database did not say in time what became of it")]
    Unknown,
    #[error("nobody waits for it any more")]
    Unwanted,
    #[error("the writer is gone")]
    Gone,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl StoreError {
    /// Whether another try may help: not with a database that takes no rows, or not these.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(
                    ErrorCode::ReadOnly
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ConstraintViolation,
                ) => Verdict::Final,
                _ => Verdict::Retry,
            },
            // Data, integrity, authorisation, a database or table that is not there.
            Self::Postgres(_) if self.is_class(&["22", "23", "28", "3D", "42"]) => Verdict::Final,
            Self::Postgres(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Verdict::Final,
            Self::Postgres(_) | Self::Late | Self::Unwanted => Verdict::Retry,
            // Tried again, it might be written twice.
            Self::Unknown | Self::Gone => Verdict::Final,
        }
    }

    /// Whether single rows may be the reason.
    pub(crate) fn is_about_rows(&self) -> bool {
        self.is_class(&["22", "23"])
    }

    /// Whether the server has said so, and waits for what comes next. What is worse than an error ends the connection.
    pub(crate) fn is_answer(&self) -> bool {
        let is_error = |error: &DbError| error.parsed_severity() == Some(Severity::Error);
        match self {
            Self::Postgres(error) => error.as_db_error().is_some_and(is_error),
            Self::Unwanted => true,
            _ => false,
        }
    }

    fn is_class(&self, classes: &[&str]) -> bool {
        let Self::Postgres(error) = self else { return false };
        error.code().is_some_and(|code| classes.iter().any(|class| code.code().starts_with(class)))
    }
}

/// The database while it is written to.
#[derive(Debug)]
pub(crate) struct Store {
    orders: mpsc::UnboundedSender<Order>,
    writer: Writer,
    unclaimed: Arc<AtomicU64>,
    rows_before: u64,
}

#[derive(Debug)]
enum Writer {
    Sqlite(JoinHandle<Connection>),
    Postgres(tokio::task::JoinHandle<Postgres>),
}

/// What was written in the lifetime of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// By how many rows the table grew.
    pub(crate) rows: u64,
    /// How many of them the controller does not know of: see [`Receipt`].
    pub(crate) unclaimed: u64,
}

/// The answer to a batch that was committed. Whoever turns it into a [`FlushOutcome`] has taken note of the rows. One
/// that is dropped, because a drain or a timeout had stopped waiting, leaves rows that nobody knows of: they are counted.
#[derive(Debug)]
pub(crate) struct Receipt {
    rows: u64,
    refused: Vec<(Event, StoreError)>,
    unclaimed: Arc<AtomicU64>,
}

impl From<Receipt> for FlushOutcome<Event, StoreError> {
    fn from(mut receipt: Receipt) -> Self {
        receipt.rows = 0;
        let mut outcome = Self::delivered();
        for (event, error) in std::mem::take(&mut receipt.refused) {
            outcome.fail(event, error, Verdict::Final);
        }
        outcome
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.unclaimed.fetch_add(self.rows, Ordering::Relaxed);
    }
}

type Answer = Result<Receipt, StoreError>;

#[derive(Debug)]
enum Order {
    Write { events: Vec<Event>, answer: oneshot::Sender<Answer> },
    Close,
}

impl Store {
    /// Opens the database, and makes what is not there.
    pub(crate) async fn open(place: &Place) -> Result<Self, StoreError> {
        let (orders, queue) = mpsc::unbounded_channel();
        let unclaimed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&unclaimed);
        let (writer, rows_before) = match place {
            Place::Sqlite(path) => {
                let connection = database::open(path)?;
                let rows_before = database::count(&connection)?;
                (Writer::Sqlite(thread::spawn(move || write_all(connection, queue, &counter))), rows_before)
            }
            Place::Postgres { config, within } => {
                let mut database = Postgres::open((**config).clone(), *within).await?;
                let rows_before = database.count().await?;
                (Writer::Postgres(tokio::spawn(copy_all(database, queue, counter))), rows_before)
            }
        };
        Ok(Self { orders, writer, unclaimed, rows_before })
    }

    pub(crate) fn service(&self) -> Writes {
        Writes { orders: self.orders.clone() }
    }

    /// Waits until the writer has seen to every batch it was given, and counts the rows.
    pub(crate) async fn close(self) -> Result<Written, StoreError> {
        // A writer that is gone is noticed where it is joined.
        let _ = self.orders.send(Order::Close);
        let rows = match self.writer {
            Writer::Sqlite(thread) => {
                let count = || Ok(database::count(&thread.join().map_err(|_| StoreError::Gone)?)?);
                spawn_blocking(count).await.unwrap_or(Err(StoreError::Gone))?
            }
            Writer::Postgres(task) => task.await.map_err(|_| StoreError::Gone)?.close().await?,
        };
        let rows = rows.saturating_sub(self.rows_before);
        Ok(Written { rows, unclaimed: self.unclaimed.load(Ordering::Relaxed) })
    }
}

/// Writes one batch after the other; those whose caller has left are not begun.
fn write_all(
    connection: Connection,
    mut queue: mpsc::UnboundedReceiver<Order>,
    unclaimed: &Arc<AtomicU64>,
) -> Connection {
    while let Some(Order::Write { events, answer }) = queue.blocking_recv() {
        if answer.is_closed() {
            continue;
        }
        let written = write(&connection, &events, || answer.is_closed());
        // A caller who has left leaves the receipt unclaimed.
        let _ = answer.send(written.map(|()| receipt(events, Vec::new(), unclaimed)));
    }
    connection
}

/// The same, into PostgreSQL.
async fn copy_all(
    mut database: Postgres,
    mut queue: mpsc::UnboundedReceiver<Order>,
    unclaimed: Arc<AtomicU64>,
) -> Postgres {
    while let Some(Order::Write { events, answer }) = queue.recv().await {
        if answer.is_closed() {
            continue;
        }
        let written = database.write(&events, || answer.is_closed()).await;
        let _ = answer.send(written.map(|refused| receipt(events, refused, &unclaimed)));
    }
    database
}

fn receipt(events: Vec<Event>, refused: Refused, unclaimed: &Arc<AtomicU64>) -> Receipt {
    let rows = (events.len() - refused.len()) as u64;
    let mut events = events.into_iter().enumerate();
    let of = |(place, error)| events.find(|(at, _)| *at == place).map(|(_, event)| (event, error));
    Receipt { rows, refused: refused.into_iter().filter_map(of).collect(), unclaimed: Arc::clone(unclaimed) }
}

/// Writes all events or none, in one transaction, unless nobody waits for them any more. A locked database is waited for.
fn write(connection: &Connection, events: &[Event], unwanted: impl Fn() -> bool) -> Result<(), StoreError> {
    let since = Instant::now();
    let transaction = database::begin(connection, LOOK_AGAIN, || unwanted() || since.elapsed() > PATIENCE)?;
    database::insert(&transaction, events)?;
    if unwanted() {
        return Err(StoreError::Unwanted);
    }
    Ok(transaction.commit()?)
}

/// The service. Always ready: how many batches are on their way is the controller's concern.
#[derive(Debug, Clone)]
pub(crate) struct Writes {
    orders: mpsc::UnboundedSender<Order>,
}

impl Service<Vec<Event>> for Writes {
    type Response = Receipt;
    type Error = StoreError;
    type Future = Write;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StoreError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, events: Vec<Event>) -> Write {
        let (answer, outcome) = oneshot::channel();
        // A writer that is gone drops the order and with it `answer`, which is the answer.
        let _ = self.orders.send(Order::Write { events, answer });
        Write { outcome }
    }
}

/// A batch on its way. Dropped, it is not written unless its transaction has begun.
#[derive(Debug)]
pub(crate) struct Write {
    outcome: oneshot::Receiver<Answer>,
}

impl Future for Write {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Poll::Ready(ready!(Pin::new(&mut self.outcome).poll(cx)).unwrap_or(Err(StoreError::Gone)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fresh;
    use std::path::PathBuf;

    fn events(count: usize) -> Vec<Event> {
        let data = include_str!("../data/earthquakes.ndjson");
        data.lines().take(count).map(|line| Event::parse(line).unwrap()).collect()
    }

    /// A directory for the database of a test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(fresh::directory(&std::env::temp_dir(), "backpressure-ingest-store").unwrap())
        }

        async fn store(&self) -> Store {
            Store::open(&Place::Sqlite(self.0.join("events.db"))).await.unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn every_batch_becomes_rows_and_replays_become_new_ones() {
        let scratch = Scratch::new();
        let store = scratch.store().await;
        let mut service = store.service();
        for _ in 0..3 {
            let receipt = service.call(events(7)).await.unwrap();
            assert!(FlushOutcome::from(receipt).failed.is_empty());
        }
        let written = store.close().await.unwrap();
        assert_eq!((written.rows, written.unclaimed), (21, 0));
    }

    #[tokio::test]
    async fn rows_committed_for_a_caller_who_left_are_known() {
        let scratch = Scratch::new();
        let store = scratch.store().await;
        let mut service = store.service();
        let left = service.call(events(5));
        let read_by_nobody = service.call(events(2)).await.unwrap();
        drop((left, read_by_nobody));
        let written = store.close().await.unwrap();
        assert_eq!((written.rows, written.unclaimed), (7, 7));
    }

    #[tokio::test]
    async fn a_database_that_can_only_be_read_is_not_tried_again() {
        let scratch = Scratch::new();
        scratch.store().await.close().await.unwrap();
        let read_only = format!("file:{}?mode=ro", scratch.0.join("events.db").display());
        let store = Store::open(&Place::Sqlite(read_only.into())).await.unwrap();
        let error = store.service().call(events(1)).await.unwrap_err();
        assert_eq!(error.verdict(), Verdict::Final, "{error}");
        assert_eq!(StoreError::Unwanted.verdict(), Verdict::Retry);
        assert_eq!(store.close().await.unwrap().rows, 0);
    }
}
