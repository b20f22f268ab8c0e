//! Bounds: of the window, of the server, of bytes; and who gets the work.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use backpressure_core::State;
use backpressure_nats::PullConfig;

use super::database::Database;
use super::world::{MS, PATIENCE, Setup, Worker, World, until, until_done};

/// Two workers, one of them slow: it gets what it can do, and keeps nothing from the other.
pub(crate) async fn a_slow_worker_does_not_hold_up_a_fast_one<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup::default()).await?;
    let database = Arc::new(Database::default().pace("slow", 400 * MS).pace("fast", MS));
    let slow = Worker::start(world.source(PullConfig::new().with_window(20)).await?, &database, "slow", 10, 1)?;
    let fast = Worker::start(world.source(PullConfig::new().with_window(200)).await?, &database, "fast", 50, 2)?;
    world.publish(3_000, 100).await?;
    until_done(world, &database, 3_000).await?;
    let (by_slow, by_fast) = (database.rows_of("slow"), database.rows_of("fast"));
    ensure!(by_slow > 0 && by_fast > 3 * by_slow, "slow {by_slow}, fast {by_fast}");
    ensure!(slow.source.counts().redelivered == 0 && database.prevented() == 0);
    slow.shut_down().await?;
    fast.shut_down().await?;
    Ok(())
}

/// The server gives fewer messages at a time than make a batch: partial batches go out after their interval.
pub(crate) async fn max_ack_pending_is_smaller_than_a_batch<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup { max_ack_pending: 10, ..Setup::default() }).await?;
    world.publish(300, 100).await?;
    let database = Arc::new(Database::default());
    let worker = Worker::start(world.source(PullConfig::new()).await?, &database, "a", 100, 1)?;
    until_done(world, &database, 300).await?;
    let counts = worker.shut_down().await?;
    ensure!(counts.redelivered == 0 && database.prevented() == 0, "{counts:?}");
    Ok(())
}

/// Messages are bounded by their bytes; those that are larger than the bound come alone.
pub(crate) async fn a_message_larger_than_the_bound_comes_alone<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup::default()).await?;
    for _ in 0..3 {
        world.publish(40, 500).await?;
        world.publish(1, 60_000).await?;
    }
    world.publish(1, 500).await?;
    let mut source = world.source(PullConfig::new().window_bytes(10_000)).await?;
    let handle = source.handle();
    let (mut held, mut seen) = (Vec::new(), 0);
    while seen < 124 {
        match tokio::time::timeout(100 * MS, source.next()).await {
            Ok(Some(delivery)) => {
                let is_large = delivery.id() % 41 == 0 && delivery.id() < 124;
                ensure!(!is_large || held.is_empty(), "{} came beside {} others", delivery.id(), held.len());
                seen += 1;
                held.push(delivery);
                ensure!(held.len() <= 20, "{} of 500 bytes and more are held", held.len());
            }
            Ok(None) => anyhow::bail!("the source has ended"),
            // It has no room: what is held is settled.
            Err(_) => held.drain(..).for_each(|delivery| assert!(delivery.ack())),
        }
    }
    held.drain(..).for_each(|delivery| assert!(delivery.ack()));
    until("all is settled", || async { Ok(world.unsettled().await? == 0) }).await?;
    ensure!(handle.counts().redelivered == 0);
    Ok(())
}

/// What is not read is not asked for beyond the window; the gauge says so, and a reader that comes gets everything.
pub(crate) async fn a_source_that_is_not_read_stops_at_its_window<W: World>(world: &W) -> Result<()> {
    world.set_up(Setup::default()).await?;
    world.publish(100, 100).await?;
    let mut source = world.source(PullConfig::new().with_window(8).full_lag(50)).await?;
    let handle = source.handle();
    until("the window is full", || async { Ok(handle.counts().held == 8) }).await?;
    ensure!(handle.gauge().state() == State::Blocked && handle.lag().pending == 92, "{:?}", handle.lag());
    // A second has passed in which more could have come.
    let more = tokio::time::timeout(Duration::from_secs(1), async {
        until("more comes", || async { Ok(handle.counts().received > 8) }).await
    });
    ensure!(more.await.is_err(), "{:?}", handle.counts());
    for number in 1..=100 {
        let delivery = tokio::time::timeout(PATIENCE, source.next()).await?;
        ensure!(delivery.is_some_and(|delivery| delivery.id() == number && delivery.ack()), "in order");
    }
    until("all is settled", || async { Ok(world.unsettled().await? == 0) }).await?;
    until("the gauge is calm", || async { Ok(handle.gauge().state() == State::Normal) }).await
}
