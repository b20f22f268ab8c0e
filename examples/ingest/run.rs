//! One run: from the input to the report.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use backpressure::{BackpressureController, Shutdown, Strategy};
use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::args::Args;
use crate::database;
use crate::ending::{Ending, INTERRUPTED, is_coloured};
use crate::event::Event;
use crate::pace::Pace;
use crate::producer::Producer;
use crate::report::Report;
use crate::source::Source;
use crate::stall::Stalling;
use crate::stop;
use crate::store::{Store, StoreError};
use crate::tally::Tally;
use crate::view::{self, View, Watched};

/// The waits before a batch that the database refused is tried again.
const RETRIES: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// Reads, writes and prints the report.
pub(crate) async fn run(args: Args) -> anyhow::Result<Ending> {
    let start = Instant::now();
    let stop = stop::on_signal(|| {
        View::abandon();
        std::process::exit(INTERRUPTED);
    })
    .context("cannot listen for signals")?;
    let source = Source::open(args.input(), args.repeat()).await?;
    let fresh = || database::fresh(&database::home());
    let database = args.db.clone().map_or_else(fresh, Ok).context("cannot make a fresh database")?;
    let store = Store::open(&database).with_context(|| format!("cannot open {}", database.display()))?;
    let stalling = args.stall.map(|stall| Stalling::start(&database, stall)).transpose()?;
    let last_error = Arc::new(Mutex::new(None));
    let controller = controller(&args, &store, Arc::clone(&last_error))?;
    view::print(&format!("from {source}\ninto {}\n\n", database.display()));

    let tally = Arc::new(Tally::default());
    let view = View::start(Watched {
        title: args.strategy().to_string(),
        gauge: controller.gauge(),
        tally: Arc::clone(&tally),
        stalled: stalling.as_ref().map(Stalling::flag).unwrap_or_default(),
        stop: stop.clone(),
    });
    let producer = Producer {
        controller: controller.clone(),
        tally: Arc::clone(&tally),
        pace: args.rate.map(|rate| Arc::new(Pace::new(rate))),
        max_wait: args.max_wait,
        stop: stop.clone(),
    };

    // At the end of the input everything accepted gets the time it takes; a signal puts a deadline to it.
    let mut reading = tokio::spawn(source.run(producer));
    let read = select! { read = &mut reading => Some(read), () = stop.cancelled() => None };
    if read.is_some() {
        // What this leaves behind, the report of the drain tells.
        select! { _ = controller.flush() => {}, () = stop.cancelled() => {} }
    }
    // The intake stays open for what producers have read already.
    let mut shutdown = Shutdown::new(args.drain, ["producers", "buffer"]);
    let read = match read {
        None => shutdown.stage(|time| timeout(time, &mut reading)).await.ok(),
        read => shutdown.stage(|_| ready(read)).await,
    };
    let drain = shutdown.stage(|time| controller.drain(time)).await;
    let read = match read {
        Some(read) => read?,
        None => reading.await?,
    };
    let snapshot = controller.snapshot();
    view.finish();
    drop(stalling);

    let written = spawn_blocking(|| store.close()).await?;
    let last_error = last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    let report = Report {
        elapsed: start.elapsed(),
        interrupted: stop.is_cancelled(),
        intake: tally.intake(),
        read: read.map_err(|error| format!("{error:#}")),
        snapshot,
        drain,
        written: written.map_err(|error| error.to_string()),
        database,
        last_error,
    };
    let ending = report.ending();
    view::print(&format!("{report}\n{}\n", ending.paint(&report.last_line(), is_coloured())));
    Ok(ending)
}

fn controller(
    args: &Args,
    store: &Store,
    last_error: Arc<Mutex<Option<String>>>,
) -> anyhow::Result<BackpressureController<Event>> {
    let mut builder = BackpressureController::builder(args.config()?);
    if args.strategy() == Strategy::DropLowest {
        builder = builder.rank_by(Event::priority);
    }
    let controller = builder
        .flush(store.service())
        .concurrency(args.concurrency.get())
        .retry(RETRIES)
        .judge_by(StoreError::verdict)
        .on_failed(move |_, error| {
            let mut last = last_error.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(format!("{:#}", anyhow::Error::from(error)));
        })
        .spawn()?;
    Ok(controller)
}
