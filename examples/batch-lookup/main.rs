//! One key per request, one query per batch.
//!
//! ```text
//!  GET /users/7  ─▶ handler ─▶ call(7) ─┐                                                ┌─▶ "Ada"
//!  GET /users/9  ─▶ handler ─▶ call(9) ─┼─▶ SELECT id, name … WHERE id IN (7, 9, 4) ─────┼─▶ 404
//!  GET /users/4  ─▶ handler ─▶ call(4) ─┘   while that runs, the next batch gathers      └─▶ "Grace"
//! ```
//!
//! The handler knows nothing of batches: it calls a service with a key and gets a row. `BatchLayer` makes that service out
//! of one that looks up many keys at once. Nothing waits for a batch to fill: a lone request is sent at once. Under
//! load the batches form by themselves, and the more there is to do, the less each request costs.
//!
//! `cargo run --release --example batch-lookup` takes eight seconds. It asks one SQLite database for rows through an axum
//! router, in process, first with a query for every request and then with batches: at first 1 client, then 256, each of
//! which asks for the next row as soon as it has the last one. Every answer is checked.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

mod database;
mod load;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use backpressure_tower::{Batch, BatchLayer};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};

use crate::database::Database;
use crate::load::{Load, Seen};

/// Rows in the table. One key in eight has none.
const ROWS: i64 = 80_000;

/// Most keys in a query.
const KEYS: usize = 128;

/// A service that looks up one key.
type Lookup = Batch<i64, Option<String>, anyhow::Error>;

fn main() -> anyhow::Result<()> {
    println!("{:<22} {:>7} {}", "", "clients", Seen::HEAD);
    let mut rates = Vec::new();
    let mut shared = 0.0;
    for (name, batched) in [("a query per request", false), ("a query per batch", true)] {
        for clients in [1, 256] {
            let database = Database::with_rows(ROWS)?;
            // Each has a runtime of its own: the threads that one has left idle would slow down the next.
            let seen = Runtime::new()?.block_on(async {
                let router = if batched { in_batches(&database)? } else { one_by_one(&database) };
                Load { router, clients, keys: ROWS, lasting: Duration::from_secs(2) }.run().await
            })?;
            let per_query = seen.answers() as f64 / database.queries() as f64;
            println!("{name:<22} {clients:>7} {seen} {per_query:>12.1}");
            rates.push(seen.answers());
            shared = per_query;
        }
    }
    println!("\nWith 256 clients, batches answer {:.1} times as many requests.", rates[3] as f64 / rates[1] as f64);
    ensure!(shared > 2.0, "the requests of 256 clients did not share their queries: {shared:.1} rows a query");
    Ok(())
}

/// Each request has its own query.
fn one_by_one(database: &Arc<Database>) -> Router {
    let database = Arc::clone(database);
    let row = move |Path(key): Path<i64>| {
        let database = Arc::clone(&database);
        async move { respond(blocking(move || database.row(key)).await.ok()) }
    };
    Router::new().route("/users/{id}", get(row))
}

/// Requests share queries: equal keys are asked for once.
fn in_batches(database: &Arc<Database>) -> anyhow::Result<Router> {
    let database = Arc::clone(database);
    let rows = service_fn(move |keys: Vec<i64>| {
        let database = Arc::clone(&database);
        blocking(move || database.rows(&keys))
    });
    let lookup: Lookup = BatchLayer::builder().max_items(KEYS).deduplicate().build()?.layer(rows);
    let row =
        |State(lookup): State<Lookup>, Path(key): Path<i64>| async move { respond(lookup.oneshot(key).await.ok()) };
    Ok(Router::new().route("/users/{id}", get(row)).with_state(lookup))
}

/// Runs a query where it may block.
async fn blocking<T: Send + 'static>(query: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(query).await?
}

/// `None` if the query failed, `Some(None)` if there is no such row.
fn respond(row: Option<Option<String>>) -> Result<Result<String, StatusCode>, Infallible> {
    Ok(match row {
        Some(Some(name)) => Ok(name),
        Some(None) => Err(StatusCode::NOT_FOUND),
        None => Err(StatusCode::INTERNAL_SERVER_ERROR),
    })
}
