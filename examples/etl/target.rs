//! Where rows go, with the checkpoint: both or neither.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::SinkExt;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use crate::Row;

/// There is one line of `etl_checkpoint`: the position of the first record that is not there.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS etl_quake (
        position BIGINT NOT NULL, id TEXT NOT NULL, region TEXT, energy DOUBLE PRECISION
    );
    CREATE TABLE IF NOT EXISTS etl_checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), next BIGINT NOT NULL);
    INSERT INTO etl_checkpoint VALUES (1, 0) ON CONFLICT DO NOTHING;";
const CHECKPOINT: &str = "SELECT next FROM etl_checkpoint";
/// Only from where this run believes to be: two at once would write everything twice.
const ADVANCE: &str = "UPDATE etl_checkpoint SET next = $1 WHERE next = $2";
const INSERT: &str = "INSERT INTO etl_quake (position, id, region, energy) VALUES (?1, ?2, ?3, ?4)";
const COPY: &str = "COPY etl_quake (position, id, region, energy) FROM STDIN";

/// How long PostgreSQL may take for a transaction. Its own time limits do not bound a COPY that stands still.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) enum Target {
    Sqlite(Connection),
    Postgres(Client),
}

impl Target {
    pub(crate) fn sqlite(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self::Sqlite(connection))
    }

    pub(crate) async fn postgres(config: Config) -> anyhow::Result<Self> {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        timeout(PATIENCE, client.batch_execute(SCHEMA)).await??;
        Ok(Self::Postgres(client))
    }

    /// The position of the first record that is not there.
    pub(crate) async fn checkpoint(&self) -> anyhow::Result<u64> {
        let next: i64 = match self {
            Self::Sqlite(connection) => block_in_place(|| connection.query_row(CHECKPOINT, [], |row| row.get(0)))?,
            Self::Postgres(client) => timeout(PATIENCE, client.query_one(CHECKPOINT, &[])).await??.get(0),
        };
        Ok(next.try_into()?)
    }

    /// Writes rows that begin at `from`, and answers with the next position.
    pub(crate) async fn load(&mut self, from: u64, rows: &[Row]) -> anyhow::Result<u64> {
        let in_order = rows.iter().zip(from..).all(|(row, position)| row.position == position);
        ensure!(in_order, "the rows do not follow on {from}");
        let next = from + rows.len() as u64;
        let (old, new) = (i64::try_from(from)?, i64::try_from(next)?);
        match self {
            Self::Sqlite(connection) => block_in_place(|| into_sqlite(connection, rows, old, new))?,
            Self::Postgres(client) => {
                let late = || format!("PostgreSQL has not written {} rows in {PATIENCE:?}", rows.len());
                timeout(PATIENCE, into_postgres(client, rows, old, new)).await.with_context(late)??;
            }
        }
        Ok(next)
    }
}

fn into_sqlite(connection: &mut Connection, rows: &[Row], old: i64, new: i64) -> anyhow::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    ensure_alone(transaction.execute(ADVANCE, params![new, old])? as u64)?;
    let mut insert = transaction.prepare_cached(INSERT)?;
    for (row, position) in rows.iter().zip(old..) {
        insert.execute(params![position, row.id, row.region, row.energy])?;
    }
    drop(insert);
    Ok(transaction.commit()?)
}

async fn into_postgres(client: &mut Client, rows: &[Row], old: i64, new: i64) -> anyhow::Result<()> {
    let transaction = client.transaction().await?;
    ensure_alone(transaction.execute(ADVANCE, &[&new, &old]).await?)?;
    let mut text = String::with_capacity(rows.len() * 64);
    for row in rows {
        let energy = row.energy.map_or_else(|| "\\N".to_owned(), |energy| energy.to_string());
        let region = row.region.as_deref().map_or_else(|| "\\N".to_owned(), escaped);
        text.extend([&row.position.to_string(), "\t", &escaped(&row.id), "\t", &region, "\t", &energy, "\n"]);
    }
    let mut copy = std::pin::pin!(transaction.copy_in::<_, Bytes>(COPY).await?);
    copy.send(text.into()).await?;
    copy.finish().await?;
    Ok(transaction.commit().await?)
}

fn ensure_alone(advanced: u64) -> anyhow::Result<()> {
    ensure!(advanced == 1, "another run writes into this database");
    Ok(())
}

/// A text as COPY reads it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}
