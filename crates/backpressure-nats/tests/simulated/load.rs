//! No load at all, and far too much.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use backpressure_nats::PullConfig;

use super::Paper;
use crate::scenarios::database::Database;
use crate::scenarios::world::{MS, Setup, Worker, World, until};

/// A worker before an empty stream asks once a second, and not more often.
#[tokio::test(start_paused = true)]
async fn w3_an_idle_worker_sends_sixty_requests_a_minute() -> Result<()> {
    let world = Paper::default();
    world.set_up(Setup::default()).await?;
    let mut source = world.source(PullConfig::new()).await?;
    let handle = source.handle();
    let minute = tokio::time::timeout(Duration::from_secs(60), source.next()).await;
    ensure!(minute.is_err(), "something came");
    let pulls = handle.counts().pulls;
    ensure!((59..=61).contains(&pulls), "{pulls} requests");
    Ok(())
}

/// What a worker holds does not grow with what waits at the server.
#[tokio::test(start_paused = true)]
async fn d3_at_a_lag_of_ten_million_no_more_than_the_window_is_out() -> Result<()> {
    const WINDOW: usize = 400;
    let world = Paper::default();
    world.set_up(Setup { max_ack_pending: 100_000, ..Setup::default() }).await?;
    world.publish(10_000_000, 100).await?;
    let database = Arc::new(Database::default().pace("a", MS));
    let source = world.source(PullConfig::new().with_window(WINDOW)).await?;
    let worker = Worker::start(source, &database, "a", 100, 2)?;
    let mut most = 0;
    until("it has worked for a while", || {
        let (held, out, rows) = (worker.source.counts().held as usize, world.pending(), database.rows());
        most = most.max(out);
        async move {
            ensure!(held <= WINDOW && out <= WINDOW, "{held} are held, {out} are out");
            Ok(rows >= 20_000)
        }
    })
    .await?;
    ensure!(most > WINDOW / 2, "{most} were out at most: the window was never put to the test");
    Ok(())
}
