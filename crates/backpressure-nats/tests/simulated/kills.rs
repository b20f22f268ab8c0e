//! A worker that is killed says nothing: its connection is cut, and all that it holds is gone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use backpressure_nats::PullConfig;

use super::Paper;
use crate::scenarios::database::Database;
use crate::scenarios::world::{MS, Setup, Worker, World, until, until_done};

#[tokio::test(start_paused = true)]
async fn a_worker_is_killed_in_the_middle_of_a_flush() -> Result<()> {
    let world = Paper::default();
    world.set_up(Setup { ack_wait: Duration::from_secs(5), ..Setup::default() }).await?;
    world.publish(1_000, 100).await?;
    let database = Arc::new(Database::default().pace("a", 50 * MS).pace("b", 50 * MS));
    let config = PullConfig::new().with_window(120);
    let (source, wire) = world.source_to_kill(config.clone())?;
    let a = Worker::start(source, &database, "a", 20, 2)?;
    let b = Worker::start(world.source(config).await?, &database, "b", 20, 2)?;
    until("both are at work", || async { Ok(database.rows_of("a") >= 100 && database.rows_of("b") >= 100) }).await?;
    ensure!(a.source.counts().held > 0, "it holds something");
    wire.cut();
    until_done(&world, &database, 1_000).await?;
    // What was being written when it was killed was written, and is written again: at most two batches, and those behind them
    // that a killed process would not have written.
    ensure!(database.prevented() > 0 && database.prevented() <= 120, "{} written twice", database.prevented());
    b.shut_down().await?;
    Ok(())
}
