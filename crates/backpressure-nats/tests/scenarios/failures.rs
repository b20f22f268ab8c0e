//! Messages that fail, and workers that end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use backpressure_nats::PullConfig;

use super::database::Database;
use super::world::{MS, PATIENCE, Setup, Worker, World, until, until_done};

/// Some messages will never do, and some only at the third time.
pub(crate) async fn poison_ends_among_the_dead_letters<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup::default()).await?;
    // 11 is taken at the third delivery; 12 is refused more often than the policy allows.
    let database = Database::default().poison([7, 90]).refuses(11, 2).refuses(12, 9);
    let database = Arc::new(database);
    let config = PullConfig::new().redeliver([100 * MS, 300 * MS, 500 * MS]);
    let worker = Worker::start(world.source(config).await?, &database, "a", 10, 2)?;
    world.publish(100, 100).await?;
    until_done(world, &database, 97).await?;
    let mut letters = world.dead_letters().await?;
    letters.sort_unstable();
    ensure!(letters == [7, 12, 90], "among the dead letters: {letters:?}");
    let counts = worker.shut_down().await?;
    ensure!(database.rows() == 97 && database.has(11) && database.prevented() == 0);
    ensure!(counts.dead_letters == 3 && counts.termed == 3, "{counts:?}");
    ensure!(counts.naked == 2 + 3 && counts.redelivered == 2 + 3, "two tries of 11, three of 12: {counts:?}");
    Ok(())
}

/// On its last permitted delivery a message that fails is buried, not given back: nobody would get it again.
pub(crate) async fn the_last_permitted_delivery_is_not_given_back<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup { max_deliver: Some(2), ..Setup::default() }).await?;
    let database = Arc::new(Database::default().refuses(3, 9));
    let config = PullConfig::new().redeliver([50 * MS; 5]);
    let worker = Worker::start(world.source(config).await?, &database, "a", 10, 1)?;
    world.publish(5, 100).await?;
    until_done(world, &database, 4).await?;
    ensure!(world.dead_letters().await? == [3]);
    let counts = worker.shut_down().await?;
    ensure!(counts.naked == 1 && counts.dead_letters == 1 && counts.exhausted == 0, "{counts:?}");
    Ok(())
}

/// A worker is drained in the middle of a flood: what it has is finished or goes back at once, and the next one goes on without
/// waiting for `ack_wait`.
pub(crate) async fn a_drain_under_load_leaves_nothing_behind<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup { ack_wait: Duration::from_secs(300), ..Setup::default() }).await?;
    world.publish(3_000, 100).await?;
    let database = Arc::new(Database::default().pace("a", 3 * MS));
    let config = PullConfig::new().with_window(400);
    let a = Worker::start(world.source(config.clone()).await?, &database, "a", 20, 2)?;
    until("a is at work", || async { Ok(database.rows() >= 400) }).await?;
    let counts = a.shut_down().await?;
    ensure!(counts.acked == database.rows(), "everything written is acknowledged: {counts:?}");
    ensure!(database.rows() < 3_000, "it was to be stopped in the middle");
    let b = Worker::start(world.source(config).await?, &database, "b", 100, 2)?;
    until_done(world, &database, 3_000).await?;
    b.shut_down().await?;
    ensure!(database.prevented() == 0, "{} rows written twice", database.prevented());
    Ok(())
}

/// The consumer is deleted: the source ends and says so, instead of waiting for ever.
pub(crate) async fn a_source_ends_when_its_consumer_is_gone<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup::default()).await?;
    world.publish(10, 100).await?;
    let mut source = world.source(PullConfig::new().patience(2_000 * MS)).await?;
    let handle = source.handle();
    for _ in 0..10 {
        let delivery = tokio::time::timeout(PATIENCE, source.next()).await?;
        ensure!(delivery.is_some_and(|delivery| delivery.ack()));
    }
    world.delete_consumer().await?;
    ensure!(tokio::time::timeout(PATIENCE, source.next()).await?.is_none() && handle.is_gone());
    tokio::time::timeout(PATIENCE, handle.settled()).await?;
    Ok(())
}
