//! Many accounts, one slow one: the order of each account is kept, and nobody waits for the slow one.
//!
//! ```text
//!                               ┌▶ batch of Ann, Bob   ┐
//!  events ──▶ buffer ──▶ by key ┼▶ batch of Eve, Joe   ├──▶ a database, 4 batches at once
//!                          │    └▶ batch of …          ┘
//!                          └ set aside: what follows of an account that is in a batch
//! ```
//!
//! An account's next event is written only when all earlier ones have been written or have failed for good, retries
//! included. Without `keyed_by`, four batches at once would overtake each other; with one at a time, everybody would wait for
//! the slow account. The clock is paused, so this takes no time.
//!
//! `cargo run --example ordered-by-key`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use backpressure::controller::{FlushOutcome, Verdict};
use backpressure::{BackpressureConfig, BackpressureController};
use tokio::time::{Instant, sleep};

const ACCOUNTS: u32 = 20;
const EVENTS: u32 = 50;
const SLOW: u32 = 7;

#[derive(Debug, Clone, Copy)]
struct Event {
    account: u32,
    number: u32,
}

/// What was written, in order, for each account; and when the last event of each was.
#[derive(Default)]
struct Database {
    written: BTreeMap<u32, Vec<u32>>,
    done: BTreeMap<u32, Duration>,
    /// Events that have met one.
    deadlocks: BTreeSet<(u32, u32)>,
}

type Shared = Arc<Mutex<Database>>;
type Written = Result<FlushOutcome<Event, &'static str>, &'static str>;

/// Takes 200 ms if the slow account is in the batch, and 5 ms if not. Every tenth event of an account meets a deadlock the
/// first time; what follows of the account in the same batch fails with it.
async fn write(database: Shared, batch: Vec<Event>, start: Instant) -> Written {
    let slow = batch.iter().any(|event| event.account == SLOW);
    sleep(Duration::from_millis(if slow { 200 } else { 5 })).await;
    let mut outcome = FlushOutcome::<Event, _>::delivered();
    let mut database = database.lock().expect("no writer panics");
    for event in batch {
        let deadlock = event.number % 10 == 9 && database.deadlocks.insert((event.account, event.number));
        let behind = outcome.failed.iter().any(|failed| failed.item.account == event.account);
        if deadlock || behind {
            outcome.fail(event, "deadlock", Verdict::RetryAfter(Duration::from_millis(20)));
        } else {
            database.written.entry(event.account).or_default().push(event.number);
            database.done.insert(event.account, start.elapsed());
        }
    }
    Ok(outcome)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let (database, start) = (Shared::default(), Instant::now());
    let config = BackpressureConfig::builder().capacity(200).batch_items(10).build()?;
    let controller = BackpressureController::builder(config)
        .flush_fn({
            let database = Arc::clone(&database);
            move |batch| write(Arc::clone(&database), batch, start)
        })
        .concurrency(4)
        .keyed_by(|event: &Event| event.account)
        // Room for all that may follow of the slow account while the others go on.
        .set_aside_at_most(EVENTS as usize)
        .retry([Duration::ZERO])
        .spawn()?;

    for number in 0..EVENTS {
        for account in 0..ACCOUNTS {
            controller.push(Event { account, number }).await?;
        }
    }
    let report = controller.drain(Duration::from_secs(60)).await;
    ensure!(report.is_complete() && report.failed == 0, "{report:?}");

    let database = database.lock().expect("no writer panics");
    let in_order: Vec<u32> = (0..EVENTS).collect();
    ensure!(database.written.len() == ACCOUNTS as usize);
    ensure!(database.written.values().all(|numbers| *numbers == in_order), "an account is out of order");
    let slow = database.done[&SLOW];
    let others = database.done.iter().filter(|&(&account, _)| account != SLOW).map(|(_, &done)| done).max();
    let others = others.unwrap_or_default();
    println!("{} events of {ACCOUNTS} accounts, {} of them retried", ACCOUNTS * EVENTS, database.deadlocks.len());
    println!(
        "every account is in order; the slow one was done after {slow:?}, the last of the others after {others:?}"
    );
    ensure!(others * 2 < slow, "somebody waited for the slow account");
    Ok(())
}
