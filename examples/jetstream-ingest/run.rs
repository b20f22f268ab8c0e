//! A stream is filled, workers empty it, and what is in the database is compared with what was published.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use async_nats::jetstream::Context;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::args::Settings;
use crate::crew::Crew;
use crate::fill::Publisher;
use crate::place::Place;
use crate::server::{Server, connect};
use crate::writer::Writer;
use crate::{beside_memory, flat_out, fresh, report, stream};

pub(crate) async fn run(settings: &Settings) -> Result<()> {
    let scratch = Scratch(fresh::directory(&std::env::temp_dir(), "jetstream-ingest")?);
    let (url, server) = match &settings.url {
        Some(url) => (url.clone(), None),
        None => {
            let server = Server::start(&scratch.0.join("nats"))?;
            (server.url.clone(), Some(server))
        }
    };
    if settings.flat_out && settings.database.is_some() {
        return beside_memory::measure(&url, settings, &scratch.0).await;
    }
    if settings.flat_out {
        return flat_out::measure(&url, server.as_ref().map(Server::process_id), settings).await;
    }
    let mut runs = Vec::new();
    for (number, &workers) in settings.workers.iter().enumerate() {
        let database = Place::for_run(settings.database.as_ref(), &scratch.0, number).await?;
        println!("{workers} workers, from {url} into {database}");
        runs.push((usize::from(workers), once(settings, &url, &database, workers.into()).await?));
    }
    report::growth(&runs);
    Ok(())
}

/// Answers how many rows a second were written.
async fn once(settings: &Settings, url: &str, database: &Place, workers: usize) -> Result<f64> {
    let client = connect(url).await?;
    // Room for every worker's window: the server does not hold up one because another was killed.
    let ack_pending = (workers + 2) as i64 * 8 * i64::from(settings.batch);
    let jetstream = stream::create(&client, ack_pending).await?;
    let mut publisher = Publisher::new(jetstream.clone())?;
    publisher.publish(settings.records).await?;
    let rows = database.open().await?;
    let began = Instant::now();
    let mut crew = Crew::start(settings, url, database, workers)?;
    if settings.chaos {
        let until = began + Duration::from_secs(settings.seconds);
        let (published, watched) = tokio::join!(
            publisher.keep_on(until),
            watch(&jetstream, &rows, &mut crew, began, |_, _, now| now >= until, true)
        );
        published?;
        watched?;
    }
    let published = publisher.confirmed();
    let is_done = |unsettled, rows, _| unsettled == 0 && rows >= published;
    watch(&jetstream, &rows, &mut crew, began, is_done, false).await?;
    let rate = published as f64 / began.elapsed().as_secs_f64();
    let killed = crew.killed;
    crew.end().await?;
    ensure!(report::summary(published, &rows.totals().await?, killed), "rows are missing, or there are too many");
    Ok(rate)
}

/// Prints a line a second until it is over, and kills a worker each time if told to.
async fn watch(
    jetstream: &Context,
    database: &impl Writer,
    crew: &mut Crew<'_>,
    began: Instant,
    is_over: impl Fn(u64, u64, Instant) -> bool,
    kills: bool,
) -> Result<()> {
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut next_line = Instant::now() + Duration::from_secs(1);
    loop {
        ticks.tick().await;
        let consumer = stream::consumer(jetstream).await?;
        let info = consumer.cached_info();
        let rows = database.totals().await?.rows;
        let now = Instant::now();
        let is_over = is_over(info.num_pending + info.num_ack_pending as u64, rows, now);
        if now >= next_line || is_over {
            report::line(now - began, info.num_pending, info.num_ack_pending, rows, crew.killed);
            next_line += Duration::from_secs(1);
            if kills && !is_over {
                crew.kill_one()?;
            }
        }
        if is_over {
            return Ok(());
        }
        crew.check()?;
    }
}

/// Removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
