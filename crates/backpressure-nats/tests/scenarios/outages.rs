//! Somebody does not answer: the server, the database, a worker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use backpressure_nats::PullConfig;

use super::database::Database;
use super::world::{MS, Setup, Worker, World, until, until_done};

/// The server is killed in the middle of the work, twice, and comes back. Real ones have not written down the last acknowledgements by
/// then, and deliver again what they have forgotten: only the key prevents that it is there twice.
pub(crate) async fn the_server_is_killed_and_comes_back<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup { ack_wait: Duration::from_secs(2), ..Setup::default() }).await?;
    world.publish(1_500, 100).await?;
    let database = Arc::new(Database::default().pace("a", 5 * MS));
    let source = world.source(PullConfig::new().with_window(200).expires(500 * MS)).await?;
    let worker = Worker::start(source, &database, "a", 50, 2)?;
    for rows in [300, 900] {
        until("some rows are there", || async { Ok(database.rows() >= rows) }).await?;
        world.restart(300 * MS).await?;
    }
    world.publish(100, 100).await?;
    until_done(world, &database, 1_600).await?;
    let counts = worker.shut_down().await?;
    ensure!(database.rows() == 1_600, "{} rows of 1600 messages", database.rows());
    let writes = database.rows() + database.prevented();
    ensure!(writes <= counts.received, "{writes} writes, more than there were deliveries: {counts:?}");
    Ok(())
}

/// The database hangs for much longer than `ack_wait`, with another worker at hand: nobody else is given what is held.
pub(crate) async fn the_database_hangs_for_longer_than_ack_wait<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup { ack_wait: Duration::from_secs(2), ..Setup::default() }).await?;
    let database = Arc::new(Database::default());
    database.stall("a", Duration::from_secs(7));
    let a = Worker::start(world.source(PullConfig::new().with_window(40)).await?, &database, "a", 20, 1)?;
    world.publish(40, 100).await?;
    until("a hangs", || async { Ok(database.is_stalled() && a.source.counts().received >= 20) }).await?;
    let b = Worker::start(world.source(PullConfig::new()).await?, &database, "b", 20, 1)?;
    world.publish(200, 100).await?;
    until_done(world, &database, 240).await?;
    let (a, b) = (a.shut_down().await?, b.shut_down().await?);
    ensure!(database.prevented() == 0, "{} rows written twice", database.prevented());
    ensure!(a.renewals > 0 && a.redelivered + b.redelivered == 0, "no lease was to be lost: {a:?} {b:?}");
    Ok(())
}

/// A worker hangs for longer than it may hold what it has: another one does its work, and its late answer does no harm.
pub(crate) async fn a_worker_hangs_for_longer_than_it_may<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup { ack_wait: Duration::from_secs(1), ..Setup::default() }).await?;
    let database = Arc::new(Database::default());
    database.stall("stuck", Duration::from_secs(8));
    let held = PullConfig::new().with_window(20).longest_hold(Duration::from_secs(2));
    let stuck = Worker::start(world.source(held).await?, &database, "stuck", 20, 1)?;
    world.publish(20, 100).await?;
    until("it is stuck", || async { Ok(database.is_stalled() && stuck.source.counts().received == 20) }).await?;
    let other = Worker::start(world.source(PullConfig::new()).await?, &database, "other", 20, 1)?;
    until_done(world, &database, 20).await?;
    ensure!(database.rows_of("other") == 20, "the other worker did {} rows", database.rows_of("other"));
    until("it comes back", || async { Ok(stuck.source.counts().held == 0) }).await?;
    let (stuck, other) = (stuck.shut_down().await?, other.shut_down().await?);
    ensure!(stuck.acked_late == 20 && other.acked == 20, "{stuck:?} {other:?}");
    ensure!(database.rows() == 20 && database.prevented() == 20, "the key prevents what was done twice");
    Ok(())
}
