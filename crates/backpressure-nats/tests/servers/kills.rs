//! Workers in processes of their own, killed and told to end.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::scenarios::world::{MS, Setup, World, until};
use crate::server::Flesh;
use crate::table::Table;
use crate::worker::{BATCH, CONCURRENCY, Order};

/// Six workers are killed one after the other, each in the middle of its work; none is missed and nothing is there twice.
pub(crate) async fn a_worker_is_killed_in_the_middle_of_a_flush(world: &Flesh) -> Result<()> {
    let kills = 6;
    world.set_up(Setup { ack_wait: Duration::from_secs(2), ..Setup::default() }).await?;
    world.publish(1_000, 200).await?;
    let table = Table::open(&world.dir().join("rows.db"))?;
    let mut survivor = order(world, "survivor").start()?;
    for kill in 0..kills {
        world.publish(500, 200).await?;
        let name = format!("victim {kill}");
        let mut victim = order(world, &name).start()?;
        until("the victim is at work", || async { Ok(table.rows_of(&name)? > 0) }).await?;
        victim.kill()?;
    }
    let published = 1_000 + kills * 500;
    until("all rows are there", || async { Ok(table.rows()? == published) }).await?;
    until("the server has all answers", || async { Ok(world.unsettled().await? == 0) }).await?;
    // Without the key: what was committed and not yet acknowledged.
    let twice = table.writes()? - published;
    let most = kills * (BATCH * CONCURRENCY) as u64;
    ensure!(twice <= most, "{twice} rows were written twice, more than {most}");
    end(&mut survivor).await
}

/// The server is killed twice under two workers that write. It forgets its last acknowledgements; the table has each row once.
pub(crate) async fn a_killed_server_doubles_nothing_in_the_table(world: &Flesh) -> Result<()> {
    world.set_up(Setup { ack_wait: Duration::from_secs(2), ..Setup::default() }).await?;
    world.publish(2_000, 200).await?;
    let table = Table::open(&world.dir().join("rows.db"))?;
    let mut workers = [order(world, "first").start()?, order(world, "second").start()?];
    for rows in [300, 1_000] {
        until("some rows are there", || async { Ok(table.rows()? >= rows) }).await?;
        world.restart(300 * MS).await?;
    }
    until("all rows are there", || async { Ok(table.rows()? >= 2_000) }).await?;
    until("the server has all answers", || async { Ok(world.unsettled().await? == 0) }).await?;
    for worker in &mut workers {
        end(worker).await?;
    }
    ensure!(table.rows()? == 2_000 && table.last()? == 2_000, "{} rows, the last is {}", table.rows()?, table.last()?);
    Ok(())
}

/// A worker that is told to end finishes what it has; the next one need not wait for `ack_wait`.
pub(crate) async fn a_worker_is_told_to_end_and_leaves_nothing_behind(world: &Flesh) -> Result<()> {
    world.set_up(Setup { ack_wait: Duration::from_secs(300), ..Setup::default() }).await?;
    world.publish(1_000, 200).await?;
    let table = Table::open(&world.dir().join("rows.db"))?;
    let mut first = order(world, "first").start()?;
    until("it is at work", || async { Ok(table.rows()? >= 100) }).await?;
    end(&mut first).await?;
    ensure!(table.rows()? < 1_000, "it was to end in the middle");
    let mut second = order(world, "second").start()?;
    until("all rows are there", || async { Ok(table.rows()? == 1_000) }).await?;
    until("the server has all answers", || async { Ok(world.unsettled().await? == 0) }).await?;
    ensure!(table.writes()? == 1_000, "{} rows were written twice", table.writes()? - 1_000);
    end(&mut second).await
}

fn order(world: &Flesh, name: &str) -> Order {
    Order { name: name.into(), url: world.url(), database: world.dir().join("rows.db"), pace: 60 * MS }
}

/// Closes the standard input of a worker, and waits until it has ended well.
async fn end(worker: &mut crate::process::Process) -> Result<()> {
    drop(worker.child().stdin.take());
    let mut status = None;
    until("the worker ends", || {
        status = worker.child().try_wait().ok().flatten();
        let has_ended = status.is_some();
        async move { Ok(has_ended) }
    })
    .await?;
    ensure!(status.is_some_and(|status| status.success()), "it ended with {status:?}");
    Ok(())
}
