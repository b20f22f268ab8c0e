//! Where rows go. Each has the number of its message as its key, so that one which is delivered twice is written once.

use std::future::Future;

use backpressure::controller::Verdict;
use serde::Deserialize;

/// A record as it is stored.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Quake {
    #[serde(rename = "id")]
    pub(crate) event: String,
    #[serde(rename = "time")]
    pub(crate) time_ms: i64,
    pub(crate) mag: Option<f64>,
    pub(crate) place: Option<String>,
}

/// A record with the number of its message, and which delivery of it this is.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) delivered: u64,
    pub(crate) quake: Quake,
}

/// A database.
pub(crate) trait Writer: Clone + Send + Sync + 'static {
    /// Writes a batch in one transaction, and into the same transaction what this worker has done. A row whose number is there
    /// already stays as it is.
    fn write(&self, worker: &str, rows: Vec<Row>) -> impl Future<Output = Result<(), WriteError>> + Send;

    fn totals(&self) -> impl Future<Output = Result<Totals, WriteError>> + Send;
}

/// Why a batch was not written; none of it was.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct WriteError {
    pub(crate) message: String,
    /// Whether another try is of use.
    pub(crate) verdict: Verdict,
}

/// What is in the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) workers: Vec<WorkerTotals>,
}

/// What a worker has written into it, under its name, in all its lives.
#[derive(Debug, Clone)]
pub(crate) struct WorkerTotals {
    pub(crate) name: String,
    pub(crate) rows: u64,
    /// Rows that were there already.
    pub(crate) prevented: u64,
    /// Messages that had been delivered before.
    pub(crate) redelivered: u64,
    pub(crate) batches: u64,
}
