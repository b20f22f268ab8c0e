//! An async iterator that is consumed slowly.
//!
//! The loop is `while let Some(item) = items.next().await { work(item).await }`, and the question is what the source
//! does while the loop works:
//!
//! * bare, it does nothing: an item is begun when it is asked for;
//! * with `.backpressure(config)` it is asked for more before an item is handed out, so that the next step of it (a
//!   timer, the answer of a server) goes on meanwhile; whatever is ready when the loop comes back is read ahead, up
//!   to the bound;
//! * with `.backpressure(config).spawn()` all steps go on, in a task of their own, up to the bound, and then wait.
//!
//! In none of these does it run away. The clock is paused, so this takes no time.
//!
//! `cargo run --example slow-iterator`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureStreamExt};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep};

const ITEMS: usize = 50;
const AHEAD: usize = 4;

/// The source takes two steps to make an item.
const STEP: Duration = Duration::from_millis(3);

/// What the loop does with an item takes longer.
const WORK: Duration = Duration::from_millis(10);

/// Items, and a count of those made.
fn source() -> (impl Stream<Item = usize> + Send, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let items = stream::iter(0..ITEMS).then(move |item| {
        let made = Arc::clone(&count);
        async move {
            sleep(STEP).await;
            sleep(STEP).await;
            made.fetch_add(1, Ordering::Relaxed);
            item
        }
    });
    (items, made)
}

/// The slow loop. Answers how long it took, and how far the source was ahead of it at most.
async fn consume(items: impl Stream<Item = usize>, made: &AtomicUsize) -> (Duration, usize) {
    let mut items = std::pin::pin!(items);
    let start = Instant::now();
    let (mut consumed, mut ahead) = (0, 0);
    while let Some(item) = items.next().await {
        assert_eq!(item, consumed, "in order");
        sleep(WORK).await;
        consumed += 1;
        ahead = ahead.max(made.load(Ordering::Relaxed) - consumed);
    }
    assert_eq!(consumed, ITEMS);
    (start.elapsed(), ahead)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let config = BackpressureConfig::builder().capacity(AHEAD).build()?;

    let (items, made) = source();
    let (bare, ahead) = consume(items, &made).await;
    println!("bare:                      {bare:?}, at most {ahead} items ahead");
    assert_eq!(ahead, 0);

    let (items, made) = source();
    let (inline, ahead) = consume(items.backpressure(config.clone()), &made).await;
    println!(".backpressure({AHEAD}):          {inline:?}, at most {ahead} ahead, the first step of the next one made");
    assert!(inline < bare && ahead <= AHEAD);

    let (items, made) = source();
    let (spawned, ahead) = consume(items.backpressure(config.clone()).spawn(), &made).await;
    println!(
        ".backpressure({AHEAD}).spawn():  {spawned:?}, at most {ahead} ahead: after the first item the loop never waits"
    );
    assert_eq!((spawned, ahead), (2 * STEP + WORK * ITEMS as u32, AHEAD));

    let ready = stream::iter(0..ITEMS);
    let mut items = ready.backpressure(config);
    let taken = [items.next().await, items.next().await];
    let (rest, read_ahead) = items.into_parts();
    println!("a source that is always ready, left after two items: {read_ahead:?} were read ahead and are not lost");
    let all = taken.into_iter().flatten().chain(read_ahead).chain(rest.collect::<Vec<_>>().await);
    assert!(all.eq(0..ITEMS));
    Ok(())
}
