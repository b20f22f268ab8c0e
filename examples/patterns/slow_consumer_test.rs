//! A recipe: how to test a pipeline of yours against a slow consumer, without waiting for anything.
//!
//! Each function below is such a test, of the pipeline at the top. They use two tools and nothing else:
//!
//! * *polls by hand*: a poll is a function call. Who polls decides how slow the consumer is, and between two polls
//!   everything can be looked at. A waker that counts tells whether the pipeline woke its task, and whether it did so
//!   for nothing;
//! * *a paused clock* (tokio's `start_paused`, feature `test-util`): when every task waits, time jumps to the next
//!   timer. A consumer that takes an hour is tested in a millisecond, and always with the same outcome.
//!
//! To use them, put your own pipeline in, and `#[test]` or `#[tokio::test(start_paused = true)]` on top of each
//! function.
//!
//! `cargo run --example slow-consumer-test`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureStreamExt, ConfigError, channel};
use futures_util::{Sink, Stream, StreamExt, stream};
use tokio::time::{Instant, sleep};

/// What the pipeline promises to hold at most.
const BOUND: usize = 8;

/// The pipeline under test: yours goes here.
fn pipeline(source: impl Stream<Item = usize>) -> Result<impl Stream<Item = usize>, ConfigError> {
    let bound = BackpressureConfig::builder().capacity(BOUND).build()?;
    Ok(source.backpressure(bound).map(|n| n * 10))
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whoever asks for little is given little: what was pulled from the source is what was taken, and no more than the
/// bound.
fn it_pulls_no_more_than_its_bound() -> anyhow::Result<()> {
    let pulled = Cell::new(0);
    let mut items = pin!(pipeline(stream::iter(0..).inspect(|_| pulled.set(pulled.get() + 1)))?);
    let mut cx = Context::from_waker(Waker::noop());
    for taken in 0..1_000 {
        assert!(pulled.get() <= taken + BOUND, "{} pulled, {taken} taken", pulled.get());
        assert_eq!(items.as_mut().poll_next(&mut cx), Poll::Ready(Some(taken * 10)), "nothing lost, all in order");
    }
    Ok(())
}

/// While the source has nothing the task sleeps; one item wakes it, once.
fn it_sleeps_until_there_is_something() -> anyhow::Result<()> {
    let (tx, source) = channel(BackpressureConfig::default());
    let mut items = pin!(pipeline(source)?);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);

    assert_eq!(items.as_mut().poll_next(&mut cx), Poll::Pending);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "waiting is not spinning");
    tx.try_send(1)?;
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(items.as_mut().poll_next(&mut cx), Poll::Ready(Some(10)));
    drop(tx);
    assert_eq!(items.as_mut().poll_next(&mut cx), Poll::Ready(None));
    Ok(())
}

/// A sink that takes three items and is then stuck for good.
struct Stuck(usize);

impl Sink<usize> for Stuck {
    type Error = std::convert::Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.0 < 3 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn start_send(mut self: Pin<&mut Self>, _: usize) -> Result<(), Self::Error> {
        self.0 += 1;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }
}

/// A consumer that is stuck stops the source, however often somebody polls.
fn it_stops_when_the_consumer_is_stuck() -> anyhow::Result<()> {
    let pulled = Cell::new(0);
    let source = stream::iter(0..).inspect(|_| pulled.set(pulled.get() + 1));
    let mut forward = pin!(pipeline(source)?.map(Ok).forward(Stuck(0)));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    for _ in 0..1_000 {
        assert!(forward.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(pulled.get() <= 3 + BOUND + 1, "{} pulled: 3 sent, the bound, one in the hands of `forward`", pulled.get());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    Ok(())
}

/// An hour for every item: the pipeline is as fast as its consumer, not slower, and loses nothing.
async fn it_is_as_fast_as_its_consumer() -> anyhow::Result<()> {
    let start = Instant::now();
    let mut items = pin!(pipeline(stream::iter(0..24))?);
    let mut taken = Vec::new();
    while let Some(item) = items.next().await {
        sleep(Duration::from_secs(3_600)).await;
        taken.push(item);
    }
    assert_eq!(taken, Vec::from_iter((0..24).map(|n| n * 10)));
    assert_eq!(start.elapsed(), Duration::from_secs(24 * 3_600));
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    it_pulls_no_more_than_its_bound()?;
    println!("it pulls no more than its bound: polled by hand, looked at after every poll");
    it_sleeps_until_there_is_something()?;
    println!("it sleeps until there is something: the wakes were counted");
    it_stops_when_the_consumer_is_stuck()?;
    println!("it stops when the consumer is stuck: polled a thousand times against a sink that takes nothing");
    let real = std::time::Instant::now();
    it_is_as_fast_as_its_consumer().await?;
    println!("it is as fast as its consumer: a day went by in {} ms", real.elapsed().as_millis());
    Ok(())
}
