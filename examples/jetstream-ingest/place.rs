//! Which database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use crate::postgres::Postgres;
use crate::postgres_link;
use crate::sqlite::Sqlite;
use crate::writer::{Row, Totals, WriteError, Writer};

/// How the schema is called in which the tables are made.
const SCHEMA: &str = "jetstream_ingest";

/// A file of SQLite, or the URL of PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres { url: String, config: Box<tokio_postgres::Config> },
}

impl FromStr for Place {
    type Err = tokio_postgres::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres { url: text.to_owned(), config: Box::new(text.parse()?) });
        }
        Ok(Self::Sqlite(text.into()))
    }
}

impl Place {
    /// A place of its own for a run, in which nothing is yet.
    pub(crate) async fn for_run(named: Option<&Self>, scratch: &Path, number: usize) -> Result<Self> {
        let path = match named {
            Some(Self::Postgres { url, config }) => {
                let schema = format!("{SCHEMA}_{number}");
                let made = Postgres::create((**config).clone(), &schema).await;
                made.with_context(|| format!("cannot make the schema {schema} in {}", postgres_link::place(config)))?;
                let sign = if url.contains('?') { '&' } else { '?' };
                return Ok(format!("{url}{sign}options=-c%20search_path%3D{schema}").parse()?);
            }
            Some(Self::Sqlite(path)) if number == 0 => path.clone(),
            Some(Self::Sqlite(path)) => path.with_extension(format!("{number}.db")),
            None => scratch.join(format!("{number}.db")),
        };
        ensure!(!path.exists(), "{} exists already", path.display());
        Ok(Self::Sqlite(path))
    }

    pub(crate) async fn open(&self) -> Result<Database> {
        Ok(match self {
            Self::Sqlite(path) => Database::Sqlite(Sqlite::open(path)?),
            Self::Postgres { config, .. } => Database::Postgres(Postgres::open((**config).clone()).await?),
        })
    }

    /// How a worker is told of it.
    pub(crate) fn argument(&self) -> &std::ffi::OsStr {
        match self {
            Self::Sqlite(path) => path.as_os_str(),
            Self::Postgres { url, .. } => url.as_ref(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres { config, .. } => f.write_str(&postgres_link::place(config)),
        }
    }
}

/// An open one.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Writer for Database {
    async fn write(&self, worker: &str, rows: Vec<Row>) -> Result<(), WriteError> {
        match self {
            Self::Sqlite(database) => database.write(worker, rows).await,
            Self::Postgres(database) => database.write(worker, rows).await,
        }
    }

    async fn totals(&self) -> Result<Totals, WriteError> {
        match self {
            Self::Sqlite(database) => database.totals().await,
            Self::Postgres(database) => database.totals().await,
        }
    }
}
