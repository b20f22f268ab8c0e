//! One run: from the input to the report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use backpressure::{BackpressureController, Strategy};
use tokio::task::spawn_blocking;

use crate::args::Args;
use crate::database;
use crate::event::Event;
use crate::pace::Pace;
use crate::producer::Producer;
use crate::report::Report;
use crate::source::Source;
use crate::stall::Stalling;
use crate::stop;
use crate::store::Store;
use crate::tally::Tally;
use crate::view::{self, View, Watched};

/// The waits before a batch that the database refused is tried again.
const RETRIES: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// What a process ends with that a signal has ended.
const INTERRUPTED: i32 = 130;

/// Whether the books balance in the end.
pub(crate) async fn run(args: Args) -> anyhow::Result<bool> {
    let start = Instant::now();
    let source = Source::open(args.input(), args.repeat()).await?;
    let fresh = || database::fresh(&database::home());
    let database = args.db.clone().map_or_else(fresh, Ok).context("cannot make a fresh database")?;
    let store = Store::open(&database).with_context(|| format!("cannot open {}", database.display()))?;
    let stalling = args.stall.map(|stall| Stalling::start(&database, stall)).transpose()?;
    let last_error = Arc::new(Mutex::new(None));
    let controller = controller(&args, &store, Arc::clone(&last_error))?;
    view::print(&format!("from {source}\ninto {}\n\n", database.display()));

    let stop = stop::on_signal(|| {
        View::abandon();
        std::process::exit(INTERRUPTED);
    });
    let tally = Arc::new(Tally::default());
    let view = View::start(Watched {
        title: args.strategy().to_string(),
        gauge: controller.gauge(),
        tally: Arc::clone(&tally),
        stalled: stalling.as_ref().map(Stalling::flag).unwrap_or_default(),
    });
    let producer = Producer {
        controller: controller.clone(),
        tally: Arc::clone(&tally),
        pace: args.rate.map(|rate| Arc::new(Pace::new(rate))),
        max_wait: args.max_wait,
        stop: stop.clone(),
    };

    // At the end of the input everything accepted gets the time it takes; a signal puts a deadline to it.
    let over = stop.child_token();
    let intake = tokio::spawn({
        let (over, controller) = (over.clone().drop_guard(), controller.clone());
        async move {
            let read = source.run(producer).await;
            // What this leaves behind, the report of the drain tells.
            let _ = controller.flush().await;
            drop(over);
            read
        }
    });
    over.cancelled().await;
    let interrupted = stop.is_cancelled();
    let drain = controller.drain(args.drain).await;
    let read = intake.await?;
    let snapshot = controller.snapshot();
    view.finish();
    drop(stalling);

    let written = spawn_blocking(|| store.close()).await??;
    let last_error = last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    let report = Report {
        elapsed: start.elapsed(),
        interrupted,
        intake: tally.intake(),
        snapshot,
        drain,
        written,
        database,
        last_error,
    };
    view::print(&report.to_string());
    read.map(|()| report.balances())
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
        .on_failed(move |_, error| {
            let mut last = last_error.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(format!("{:#}", anyhow::Error::from(error)));
        })
        .spawn()?;
    Ok(controller)
}
