//! Waiting for drain by hand: three ways to stop writing when it is full and go on when it is not.
//!
//! What is `if (!stream.write(chunk)) await once(stream, 'drain')` elsewhere is one of these here:
//!
//! 1. a channel: `try_send` gives the item back, `reserve().await` waits for a place, and the place is yours;
//! 2. any sink: `poll_ready` waits, `start_send` puts the item in;
//! 3. a gauge: stop at one state and go on at another, in bursts rather than item by item.
//!
//! The consumer takes one item every millisecond, on a paused clock, so this takes no time.
//!
//! `cargo run --example drain-by-hand`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureSink, Receiver, State, channel};
use futures_util::{Sink, sink};
use tokio::time::sleep;

const ITEMS: u32 = 100;
const CAPACITY: usize = 10;

/// Receives everything, one item every millisecond.
async fn consume(mut rx: Receiver<u32>) -> Vec<u32> {
    let mut items = Vec::new();
    while let Some(item) = rx.recv().await {
        sleep(Duration::from_millis(1)).await;
        items.push(item);
    }
    items
}

/// Fills a channel until it gives an item back, then waits for a place for that one.
async fn channel_by_hand(config: BackpressureConfig) -> anyhow::Result<u32> {
    let (tx, rx) = channel(config);
    let consumer = tokio::spawn(consume(rx));
    let mut waits = 0;
    for item in 0..ITEMS {
        if let Err(full) = tx.try_send(item) {
            waits += 1;
            let place = tx.reserve().await?;
            place.send(full.into_inner())?;
        }
    }
    drop(tx);
    assert_eq!(consumer.await?, Vec::from_iter(0..ITEMS));
    Ok(waits)
}

/// Asks a sink for room before every item. Whoever drops out between the two calls has lost nothing.
async fn sink_by_hand(config: BackpressureConfig) -> anyhow::Result<u32> {
    let writer = sink::unfold(0, |written, item| async move {
        sleep(Duration::from_millis(1)).await;
        assert_eq!(written, item, "in order");
        Ok::<_, Infallible>(written + 1)
    });
    let mut sink = pin!(BackpressureSink::new(writer, config));
    let mut waits = 0;
    for item in 0..ITEMS {
        let room = |cx: &mut std::task::Context<'_>| {
            let room = sink.as_mut().poll_ready(cx);
            waits += u32::from(room.is_pending());
            room
        };
        poll_fn(room).await?;
        sink.as_mut().start_send(item)?;
    }
    poll_fn(|cx| sink.as_mut().poll_close(cx)).await?;
    assert_eq!(sink.gauge().snapshot().counts.delivered, u64::from(ITEMS));
    Ok(waits)
}

/// Writes until the channel is critical, then pauses until it is back to normal. It is never full.
async fn gauge_by_hand(config: BackpressureConfig) -> anyhow::Result<u32> {
    let (tx, rx) = channel(config);
    let consumer = tokio::spawn(consume(rx));
    let gauge = tx.gauge();
    let mut waits = 0;
    for item in 0..ITEMS {
        let mut state = gauge.state();
        if state >= State::Critical {
            waits += 1;
            while state > State::Normal {
                state = gauge.changed_from(state).await;
            }
        }
        tx.try_send(item)?;
    }
    drop(tx);
    assert_eq!(consumer.await?, Vec::from_iter(0..ITEMS));
    Ok(waits)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let config = BackpressureConfig::builder().capacity(CAPACITY).build()?;
    println!("{ITEMS} items through a buffer of {CAPACITY}, to a consumer that is slower than the producer");

    let waits = channel_by_hand(config.clone()).await?;
    println!("a channel, by try_send and reserve: waited {waits} times, once for every item that found it full");
    assert_eq!(waits, ITEMS - CAPACITY as u32);

    let sink_waits = sink_by_hand(config.clone()).await?;
    println!("a sink, by poll_ready and start_send: waited {sink_waits} times");
    assert!((1..ITEMS).contains(&sink_waits));

    let gauge_waits = gauge_by_hand(config).await?;
    println!("a gauge, from critical to normal: waited {gauge_waits} times, and wrote in bursts between");
    assert!((1..waits / 2).contains(&gauge_waits));
    Ok(())
}
