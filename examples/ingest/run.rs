//! One run: from the input to the report.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use backpressure::shutdown::GracefulShutdown;
use backpressure::{BackpressureController, Strategy};
use tokio::select;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::args::{Args, Input};
use crate::database;
use crate::ending::{Ending, INTERRUPTED, is_coloured};
use crate::event::Event;
use crate::pace::Pace;
use crate::producer::Producer;
use crate::report::Report;
use crate::screen;
use crate::source::Source;
use crate::stall::Stalling;
use crate::stop;
use crate::store::{Place, Store, StoreError};
use crate::tally::Tally;
use crate::view::{self, View, Watched};
use crate::watched;

/// The waits before a batch that the database refused is tried again.
const RETRIES: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// Reads, writes and prints the report.
pub(crate) async fn run(args: Args) -> anyhow::Result<Ending> {
    let start = Instant::now();
    let abort = || {
        screen::restore();
        std::process::exit(INTERRUPTED);
    };
    let stop = stop::on_signal(abort).context("cannot listen for signals")?;
    let input = args.input();
    // Keys would be taken from somebody who types events.
    let is_live = io::stdout().is_terminal() && !(input == Input::Stdin && io::stdin().is_terminal());
    let source = Source::open(input, args.repeat()).await?;
    let database = args.place().context("cannot make a fresh database")?;
    let store = Store::open(&database).await.with_context(|| format!("cannot open {database}"))?;
    let stalling = match &database {
        Place::Sqlite(path) if is_live || args.stall().is_some() => Some(Stalling::start(path, args.stall())?),
        _ => None,
    };
    let stalling = stalling.map(Arc::new);
    let last_error = Arc::new(Mutex::new(None));
    let controller = controller(&args, &store, Arc::clone(&last_error))?;
    view::print(&format!("from {source}\ninto {database}\n\n"));

    let tally = Arc::new(Tally::default());
    let pace = Arc::new(args.rate().map_or_else(Pace::flat_out, Pace::new));
    let watched = Watched {
        title: args.strategy().to_string(),
        registry: watched::registry(&tally, controller.gauge())?,
        pace: Arc::clone(&pace),
        stalling: stalling.clone(),
        stop: stop.clone(),
    };
    let view = View::start(watched, is_live, abort);
    let producer = Producer {
        controller: controller.clone(),
        tally: Arc::clone(&tally),
        pace,
        max_wait: args.max_wait,
        stop: stop.clone(),
    };

    // Producers have a task of their own: one that is not done at the deadline still learns that the intake has ended, and counts
    // what it had read.
    let (ended, read) = watch::channel(None);
    tokio::spawn(async move {
        let read = source.run(producer).await;
        ended.send_replace(Some(read.map_err(|error| format!("{error:#}"))));
    });
    let (drained, drain) = oneshot::channel();
    let buffer = controller.clone();
    let shutdown = GracefulShutdown::when(args.drain, stop.clone().cancelled_owned())
        .server("producers", intake(read.clone(), controller.clone(), stop.clone()))
        .buffer("buffer", move |time| async move {
            let report = Arc::new(buffer.drain(time).await);
            // Whoever waits for it is below.
            let _ = drained.send(Arc::clone(&report));
            report
        })
        .run()
        .await;
    let drain = drain.await?;
    let read = read_to_the_end(read).await?;
    let snapshot = controller.snapshot();
    view.finish();
    drop(stalling);

    let written = store.close().await;
    let last_error = last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    let report = Report {
        elapsed: start.elapsed(),
        interrupted: stop.is_cancelled(),
        intake: tally.intake(),
        read,
        snapshot,
        drain,
        shutdown: shutdown.to_string(),
        written: written.map_err(|error| error.to_string()),
        database: database.to_string(),
        last_error,
    };
    let ending = report.ending();
    view::print(&format!("{report}\n"));
    // What went wrong may be seen in the rows.
    if let (Place::Sqlite(path), true) = (&database, args.is_temporary() && ending == Ending::Delivered) {
        view::print(&match database::remove(path) {
            Ok(()) => "The database is removed; --keep keeps it.\n\n".to_owned(),
            Err(error) => format!("The database cannot be removed: {error}\n\n"),
        });
    }
    view::print(&format!("{}\n", ending.paint(&report.last_line(), is_coloured())));
    Ok(ending)
}

type Read = Option<Result<(), String>>;

/// How the producers ended, once they have.
async fn read_to_the_end(mut read: watch::Receiver<Read>) -> anyhow::Result<Result<(), String>> {
    let ended = read.wait_for(Option::is_some).await.context("a producer panicked")?;
    Ok(ended.clone().unwrap_or(Ok(())))
}

/// Reads to the end. What was accepted gets the time it takes then; a signal puts a deadline to it.
async fn intake(
    read: watch::Receiver<Read>,
    controller: BackpressureController<Event>,
    stop: CancellationToken,
) -> Result<(), String> {
    let read = read_to_the_end(read).await.map_err(|error| error.to_string())?;
    // What this leaves behind, the report of the drain tells.
    select! { _ = controller.flush() => {}, () = stop.cancelled() => {} }
    read
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
