//! Micro-batches and time: the deadline holds whatever the upstream does, and nothing ticks.

use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BatchConfig, BatchConfigBuilder, BatchSizer, FlushPacer};
use backpressure_stream::BackpressureStreamExt;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, advance, sleep, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::support::{Busy, MS, Script, Step, Wakes, poll, push_clock};

fn config(build: impl FnOnce(BatchConfigBuilder) -> BatchConfigBuilder) -> BatchConfig {
    build(BatchConfig::builder().max_items(1_000_000).linger(5 * MS)).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn b2_a_source_that_never_pauses_does_not_put_off_the_linger() {
    for micros in [1, 2, 7, 30, 99, 100, 249, 250, 500, 999] {
        let mut batches = Busy::at(Duration::from_micros(micros)).micro_batch(config(|batch| batch));
        for n in 0..20 {
            let batch = batches.next().await.unwrap();
            let waited = Instant::now() - batch[0].1;
            assert!(waited <= 6 * MS, "batch {n} at {micros} µs an item took {waited:?}");
            assert!(waited >= 5 * MS - Duration::from_micros(250), "batch {n} at {micros} µs left after {waited:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_source_that_slows_down_without_pausing_is_late_once() {
    let mut batches = Busy::at(Duration::from_nanos(10)).micro_batch(config(|batch| batch));
    batches.next().await.unwrap();
    batches.get_mut().pace = MS;
    batches.next().await.unwrap();
    for _ in 0..10 {
        let batch = batches.next().await.unwrap();
        assert!(Instant::now() - batch[0].1 <= 6 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_channel_with_a_million_items_queued_does_not_put_off_the_linger() {
    let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    (0..1_000_000u32).for_each(|n| tx.send(n).unwrap());
    drop(tx);
    let timed = UnboundedReceiverStream::new(rx).map(|n| {
        push_clock(Duration::from_nanos(500));
        (n, Instant::now())
    });
    let mut batches = timed.micro_batch(config(|batch| batch));
    let (mut expected, mut count) = (0, 0);
    while let Some(batch) = batches.next().await {
        assert!(Instant::now() - batch[0].1 <= 6 * MS);
        for (n, _) in batch {
            assert_eq!(n, expected);
            expected += 1;
        }
        count += 1;
    }
    assert_eq!(expected, 1_000_000);
    assert!((90..=110).contains(&count), "{count} batches in half a second");
}

#[tokio::test(start_paused = true)]
async fn b2_a_first_item_leaves_even_if_nothing_follows() {
    let mut batches = Script::new([Step::Item(1)]).micro_batch(config(|batch| batch));
    let start = Instant::now();
    assert_eq!(batches.next().await, Some(vec![1]));
    assert_eq!(start.elapsed(), 5 * MS);
}

#[tokio::test(start_paused = true)]
async fn b2_the_linger_runs_from_the_first_item_not_from_the_last() {
    let trickle = stream::unfold(0, |n| async move {
        sleep(2 * MS).await; // tidy: paused clock
        Some((n, n + 1))
    });
    let mut batches = Box::pin(trickle).micro_batch(config(|batch| batch));
    let start = Instant::now();
    assert_eq!(batches.next().await, Some(vec![0, 1, 2]), "at 2, 4 and 6 ms");
    assert_eq!(start.elapsed(), 7 * MS);
    assert_eq!(batches.next().await, Some(vec![3, 4, 5]));
    assert_eq!(start.elapsed(), 13 * MS);
}

/// The channel's own share of the budget is spent at every pause, so the timer that is armed then promises nothing.
#[tokio::test(start_paused = true)]
async fn b2_a_spent_budget_does_not_lose_the_deadline() {
    let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    (0..200).for_each(|n| tx.send(n).unwrap());
    let mut batches = UnboundedReceiverStream::new(rx).micro_batch(config(|batch| batch));
    let start = Instant::now();
    let next = tokio::spawn(async move { timeout(1000 * MS, batches.next()).await });
    let batch = next.await.unwrap().expect("a timer that was not forgotten");
    assert_eq!(batch.map(|batch| batch.len()), Some(200));
    assert_eq!(start.elapsed(), 5 * MS);
    drop(tx);
}

#[tokio::test(start_paused = true)]
async fn b2_an_upstream_that_is_restless_does_not_put_off_the_linger() {
    let mut n = 0;
    let restless = stream::poll_fn(move |cx| {
        n += 1;
        push_clock(MS / 2);
        cx.waker().wake_by_ref();
        if n % 3 == 1 { Poll::Ready(Some(Instant::now())) } else { Poll::Pending }
    });
    let mut batches = restless.micro_batch(config(|batch| batch));
    for _ in 0..20 {
        let batch = batches.next().await.unwrap();
        assert!(Instant::now() - batch[0] <= 6 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_deadline_that_passes_without_demand_keeps_the_batch_which_goes_first() {
    let mut batches = Script::new([Step::Item(1), Step::Pause]).micro_batch(config(|batch| batch));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    advance(50 * MS).await;
    assert_eq!(wakes.count(), 1, "the deadline asks for demand, once");
    batches.get_mut().tell(Step::Item(2));
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![1])), "before anything else is pulled");
    assert!(poll(&mut batches, &waker).is_pending());
    advance(5 * MS).await;
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![2])), "after a linger of its own");
}

#[tokio::test(start_paused = true)]
async fn b4_polling_again_and_again_closes_nothing_before_its_time() {
    let mut batches = Script::new([Step::Item(1)]).micro_batch(config(|batch| batch));
    let (wakes, waker) = Wakes::new();
    for _ in 0..49 {
        assert!(poll(&mut batches, &waker).is_pending());
        advance(MS / 10).await;
    }
    assert_eq!(wakes.count(), 0);
    advance(MS / 10).await;
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![1])));
}

#[tokio::test(start_paused = true)]
async fn b5_a_full_batch_leaves_no_timer_that_wakes_an_idle_task() {
    let mut batches = Script::new([Step::Item(1), Step::Pause]).micro_batch(config(|batch| batch.max_items(2)));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    batches.get_mut().tell(Step::Item(2));
    assert_eq!(wakes.count(), 1, "the upstream's");
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![1, 2])));
    advance(100 * MS).await;
    assert_eq!(wakes.count(), 1, "not while the consumer is at work");
    assert!(poll(&mut batches, &waker).is_pending());
    advance(100 * MS).await;
    assert_eq!(wakes.count(), 1, "not while it waits for the next item");
}

#[tokio::test(start_paused = true)]
async fn b5_the_timer_of_one_batch_does_not_close_the_next() {
    let mut batches = Script::new([Step::Item(1), Step::Pause]).micro_batch(config(|batch| batch.max_items(2)));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    advance(4 * MS).await;
    batches.get_mut().tell(Step::Item(2));
    batches.get_mut().tell(Step::Item(3));
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![1, 2])));
    assert!(poll(&mut batches, &waker).is_pending());
    let before = wakes.count();
    advance(4 * MS).await;
    assert!(poll(&mut batches, &waker).is_pending(), "the first one's deadline is over, the second one's is not");
    assert_eq!(wakes.count(), before);
    advance(MS).await;
    assert_eq!(wakes.count(), before + 1);
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![3])));
}

#[tokio::test(start_paused = true)]
async fn b5_dropping_it_takes_the_timer_along() {
    let mut batches = Script::new([Step::Item(1)]).micro_batch(config(|batch| batch));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    drop(batches);
    advance(100 * MS).await;
    assert_eq!(wakes.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn w1_the_timer_wakes_whoever_polled_last() {
    let mut batches = Script::new([Step::Item(1)]).micro_batch(config(|batch| batch));
    let ((first, waker), (second, other)) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut batches, &waker).is_pending());
    assert!(poll(&mut batches, &other).is_pending());
    advance(5 * MS).await;
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn w3_one_wake_a_batch_and_none_at_rest() {
    let mut batches = Script::new([]).micro_batch(config(|batch| batch));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    advance(1000 * MS).await;
    assert_eq!(wakes.count(), 0, "nothing is held, nothing ticks");
    for n in 1..10 {
        batches.get_mut().tell(Step::Item(n));
        assert!(poll(&mut batches, &waker).is_pending());
        advance(5 * MS).await;
        assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![n])));
        assert!(poll(&mut batches, &waker).is_pending());
        assert_eq!(wakes.count(), 2 * n, "the upstream's and the timer's");
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_closes_a_batch_when_nothing_has_come_for_a_while() {
    let mut batches = Script::new([Step::Item(1)]).micro_batch(config(|batch| batch.linger(50 * MS).quiet(5 * MS)));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    for n in 2..6 {
        advance(4 * MS).await;
        assert!(poll(&mut batches, &waker).is_pending(), "at item {n}");
        batches.get_mut().tell(Step::Item(n));
        assert!(poll(&mut batches, &waker).is_pending(), "at item {n}");
    }
    let start = Instant::now();
    assert_eq!(batches.next().await, Some(vec![1, 2, 3, 4, 5]));
    assert_eq!(start.elapsed(), 5 * MS);
    assert!(wakes.count() <= 8, "four items, and at most a timer each: {}", wakes.count());
}

#[tokio::test(start_paused = true)]
async fn quiet_does_not_outlast_the_linger() {
    let trickle = Box::pin(stream::unfold(0, |n| async move {
        sleep(2 * MS).await; // tidy: paused clock
        Some((n, n + 1))
    }));
    let mut batches = trickle.micro_batch(config(|batch| batch.linger(11 * MS).quiet(3 * MS)));
    assert_eq!(batches.next().await, Some(vec![0, 1, 2, 3, 4, 5]));
}

#[tokio::test(start_paused = true)]
async fn k1_a_clock_that_jumps_ahead_closes_what_is_due() {
    let mut batches = Script::new([Step::Item(1)]).micro_batch(config(|batch| batch));
    let (_, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    push_clock(Duration::from_secs(86_400 * 365));
    assert_eq!(batches.next().await, Some(vec![1]));
}

/// A consumer that takes its time for a batch, and how long the next one then lingers.
#[tokio::test(start_paused = true)]
async fn a_slow_consumer_lengthens_the_linger_and_a_fast_one_shortens_it() {
    let pacer = FlushPacer::new(10 * MS, 20 * MS, 100 * MS).unwrap();
    let mut batches = Script::new([]).micro_batch(config(|batch| batch)).adapt_linger(pacer);
    let mut lingers = Vec::new();
    for consumer in [200, 200, 200, 100, 10, 10, 10, 10] {
        batches.get_mut().tell(Step::Item(()));
        let start = Instant::now();
        assert!(batches.next().await.is_some());
        lingers.push(start.elapsed().as_micros());
        advance(consumer * MS).await;
    }
    assert_eq!(lingers, [10_000, 15_000, 20_000, 20_000, 20_000, 16_000, 13_000, 11_000], "the timer counts whole ms");
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_shrinks_the_batches_and_a_fast_one_grows_them() {
    let sizer = BatchSizer::new(10, 650, 100 * MS).unwrap();
    let mut batches = stream::repeat(()).micro_batch(config(|batch| batch)).adapt_size(sizer);
    let mut sizes = Vec::new();
    for consumer in [10, 10, 10, 10, 200, 200, 10] {
        sizes.push(batches.next().await.unwrap().len());
        advance(consumer * MS).await;
    }
    assert_eq!(sizes, [10, 20, 30, 40, 50, 25, 12]);
}
