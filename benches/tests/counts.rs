//! What the steady paths cost, in counts that are the same on every machine.
//!
//! What a crate can count by itself is asserted in its own tests.

use std::cell::Cell;
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use backpressure::sink::BackpressureSinkExt;
use backpressure::stream::BackpressureStreamExt;
use backpressure::{BackpressureConfig, BackpressureController, BatchConfig, Strategy};
use backpressure_core::limit::{Fast, Level, Outcome};
use backpressure_tower::Limiter;
use futures_util::{Sink, Stream, StreamExt, stream};
use tokio::runtime::{Builder, Runtime};

const BATCH: usize = 100;
const BATCHES: usize = 100;
const ITEMS: usize = BATCH * BATCHES;

fn batches() -> BatchConfig {
    BatchConfig::builder().max_items(BATCH).linger(Duration::from_secs(60)).build().unwrap()
}

fn bounded(strategy: Strategy) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(64).strategy(strategy).build().unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn poll<St: Stream + Unpin>(stream: &mut St) -> Poll<Option<St::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

/// Endless; pauses after every item if asked to.
fn numbers(pausing: bool) -> impl Stream<Item = u64> + Unpin {
    let (mut next, mut pause) = (0, true);
    stream::poll_fn(move |_| {
        pause = pausing && !pause;
        if pause {
            return Poll::Pending;
        }
        next += 1;
        Poll::Ready(Some(black_box(next)))
    })
}

/// Polls for one batch, as often as it takes.
fn one_batch(batches: &mut (impl Stream<Item = Vec<u64>> + Unpin)) -> Vec<u64> {
    loop {
        if let Poll::Ready(batch) = poll(batches) {
            return batch.expect("it is endless");
        }
    }
}

/// Outside a runtime a timer cannot be made; here there is none.
#[test]
fn m3_a_full_batch_costs_one_allocation_and_no_timer() {
    let mut source = numbers(false).micro_batch(batches());
    one_batch(&mut source);
    let spent = measure(|| {
        for _ in 0..BATCHES {
            assert_eq!(one_batch(&mut source).len(), BATCH);
        }
    });
    assert_eq!(spent.count_total, BATCHES as u64);
}

/// The runtime is there for the first item of a batch only: whoever made a timer later would panic.
#[test]
fn m3_a_batch_that_comes_item_by_item_costs_one_allocation_and_one_timer() {
    let runtime = runtime();
    let mut source = numbers(true).micro_batch(batches());
    let mut count = |batches: usize| {
        let spent = measure(|| {
            for _ in 0..batches {
                // The source may have paused after the last batch, and pauses after the first item of this one.
                runtime.block_on(async { assert!(poll(&mut source).is_pending() && poll(&mut source).is_pending()) });
                assert_eq!(one_batch(&mut source).len(), BATCH);
            }
        });
        spent.count_total
    };
    count(1);
    // What entering a runtime costs is not the batch's.
    let entering = measure(|| (0..BATCHES).for_each(|_| runtime.block_on(async {}))).count_total;
    assert_eq!(count(BATCHES), BATCHES as u64 + entering);
}

#[test]
fn m3_reading_ahead_allocates_nothing_per_item() {
    for strategy in [Strategy::block(), Strategy::DropOldest, Strategy::DropNewest, Strategy::sample()] {
        for pausing in [false, true] {
            let mut source = numbers(pausing).backpressure(bounded(strategy));
            let mut take = |items| {
                for _ in 0..items {
                    while poll(&mut source).is_pending() {}
                }
            };
            take(ITEMS);
            assert_eq!(measure(|| take(ITEMS)).count_total, 0, "{strategy}, pausing: {pausing}");
        }
    }
}

/// Takes everything; every other time only when it is asked twice.
#[derive(Default)]
struct Taker {
    restive: bool,
    busy: bool,
    sum: u64,
}

impl Sink<u64> for Taker {
    type Error = Infallible;

    fn poll_ready(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.busy = self.restive && !self.busy;
        if self.busy { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn start_send(mut self: Pin<&mut Self>, item: u64) -> Result<(), Infallible> {
        self.sum += item;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn m3_sending_through_a_sink_allocates_nothing_per_item() {
    for strategy in [Strategy::block(), Strategy::DropOldest] {
        for restive in [false, true] {
            let mut sink = pin!(Taker { restive, ..Taker::default() }.bounded(bounded(strategy)));
            let mut cx = Context::from_waker(Waker::noop());
            let mut send = |items: usize| {
                for n in 0..items as u64 {
                    while sink.as_mut().poll_ready(&mut cx).is_pending() {}
                    assert!(sink.as_mut().start_send(n).is_ok());
                }
                while sink.as_mut().poll_flush(&mut cx).is_pending() {}
            };
            send(ITEMS);
            assert_eq!(measure(|| send(ITEMS)).count_total, 0, "{strategy}, restive: {restive}");
        }
    }
}

#[test]
fn m3_reading_a_gauge_allocates_nothing() {
    let (tx, rx) = backpressure::channel::<u64>(bounded(Strategy::DropOldest));
    let gauge = rx.gauge();
    tx.try_send(1).unwrap();
    gauge.snapshot();
    let spent = measure(|| {
        for _ in 0..1_000 {
            black_box((gauge.state(), gauge.utilization()));
        }
    });
    assert_eq!(spent.count_total, 0);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn w3_a_consumer_that_asks_for_a_batch_is_woken_once_for_it() {
    let config = BackpressureConfig::builder().capacity(2 * BATCH).build().unwrap();
    let (tx, mut rx) = backpressure::channel(config);
    let demand = backpressure::channel::Demand { items: BATCH, ..backpressure::channel::Demand::ANY };
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut batch = Vec::with_capacity(BATCH);
    for full in 0..BATCHES {
        assert!(rx.poll_demand(&mut Context::from_waker(&waker), demand).is_pending());
        (0..BATCH).for_each(|n| assert!(tx.try_send(n).is_ok()));
        assert_eq!(wakes.0.load(Ordering::Relaxed), full + 1);
        assert_eq!(rx.try_recv_many(&mut batch, BATCH, usize::MAX), BATCH);
        batch.clear();
    }
}

#[test]
fn m3_a_controller_allocates_per_batch_and_not_per_item() {
    let run = async |items: usize| {
        let config = BackpressureConfig::builder().capacity(10 * BATCH).batch_items(BATCH).build().unwrap();
        let controller = BackpressureController::builder(config)
            .flush_fn(|batch: Vec<u64>| {
                assert!(!black_box(batch).is_empty());
                std::future::ready(Ok::<_, Infallible>(()))
            })
            .spawn()
            .unwrap();
        for n in 0..items as u64 {
            controller.push(n).await.unwrap();
            if n % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert!(controller.drain(Duration::from_secs(60)).await.is_complete());
    };
    let runtime = runtime();
    let spent = |items| measure(|| runtime.block_on(run(items))).count_total;
    spent(ITEMS);
    let (some, more) = (spent(ITEMS), spent(2 * ITEMS));
    let per_batch = (more - some) as f64 / BATCHES as f64;
    assert!(per_batch <= 4.0, "{per_batch}");
}

thread_local! {
    static START: Instant = Instant::now();
    static MICROS: Cell<u64> = const { Cell::new(0) };
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

fn counting_clock() -> Instant {
    LOOKS.set(LOOKS.get() + 1);
    START.with(|start| *start) + Duration::from_micros(MICROS.get())
}

/// A million calls per second, one after the other.
#[test]
fn m3_admitting_a_call_allocates_nothing_and_hardly_reads_the_clock() {
    let limiters = [
        Limiter::builder().limit(Fast::default()).clock(counting_clock).build(),
        Limiter::builder().clock(counting_clock).build(),
    ];
    for limiter in limiters {
        let calls = |calls: u64| {
            for _ in 0..calls {
                let permit = limiter.try_admit(Level::default()).unwrap();
                MICROS.set(MICROS.get() + 1);
                permit.finish(Outcome::Success);
            }
        };
        calls(400_000);
        let looks = LOOKS.get();
        assert_eq!(measure(|| calls(100_000)).count_total, 0);
        let looks = LOOKS.get() - looks;
        assert!(looks <= 100_000 / 16, "{looks} in a hundred thousand calls");
    }
}
