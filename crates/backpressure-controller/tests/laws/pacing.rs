//! The interval and the batch size follow the latency of the flushes.

use std::time::Duration;

use backpressure_controller::BackpressureController;

use crate::support::{Act, INTERVAL, LATENCY, MS, Target, advance, config, settle};

fn taking(latencies: impl IntoIterator<Item = Duration, IntoIter: Send + 'static>) -> Target<u32> {
    Target::first(latencies.into_iter().map(|latency| Act::After(latency, Box::new(Act::Deliver))))
}

#[tokio::test(start_paused = true)]
async fn the_interval_follows_a_trace_worked_out_by_hand() {
    // Target 10 ms, bounds 100 to 300 ms: × 1.5 above 15 ms, × 0.8 below 5 ms.
    let micros = Duration::from_micros;
    let trace = [
        (16 * MS, micros(150_000)),
        (15 * MS, micros(150_000)),
        (5 * MS, micros(150_000)),
        (40 * MS, micros(225_000)),
        (16 * MS, micros(300_000)),
        (99 * MS, micros(300_000)),
        (4 * MS, micros(240_000)),
        (1 * MS, micros(192_000)),
        (4 * MS, micros(153_600)),
        (4 * MS, micros(122_880)),
        (4 * MS, micros(100_000)),
        (4 * MS, micros(100_000)),
    ];
    let target = taking(trace.map(|(latency, _)| latency));
    let controller =
        BackpressureController::builder(config(100, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    assert_eq!(controller.snapshot().flush.interval, INTERVAL, "it starts at the floor");
    for (step, (latency, interval)) in trace.into_iter().enumerate() {
        controller.try_push(0).unwrap();
        controller.flush().await.unwrap();
        let flush = controller.snapshot().flush;
        assert_eq!((flush.last, flush.interval), (Some(latency), interval), "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_partial_batch_leaves_after_the_interval_that_is_visible() {
    let target = taking([2 * LATENCY]);
    let controller =
        BackpressureController::builder(config(100, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    controller.try_push(0).unwrap();
    controller.flush().await.unwrap();
    let interval = controller.snapshot().flush.interval;
    assert_eq!(interval, 150 * MS);

    controller.try_push(1).unwrap();
    advance(interval - MS).await;
    assert_eq!(target.calls().len(), 1);
    advance(MS).await;
    assert_eq!(target.times()[1] - target.times()[0], 2 * LATENCY + interval);
}

#[tokio::test(start_paused = true)]
async fn the_batch_size_climbs_while_full_batches_are_fast_and_halves_when_one_is_slow() {
    // 64 steps from 4 to 68 items: one item a step.
    let target = taking([MS, LATENCY, LATENCY + MS, 2 * LATENCY, MS]);
    let controller = BackpressureController::builder(config(1_000, 68).build().unwrap())
        .flush(target.service())
        .adapt_batch_items(4)
        .spawn()
        .unwrap();
    let mut sizes = Vec::new();
    for _ in 0..5 {
        let size = controller.snapshot().flush.batch_items;
        (0..size as u32).for_each(|item| assert!(controller.try_push(item).is_ok()));
        sizes.push(size);
        controller.flush().await.unwrap();
    }
    assert_eq!(sizes, [4, 5, 6, 6, 4], "fast, in time, a little late, slow: half of 6 is below the floor");
    assert_eq!(target.batches().iter().map(Vec::len).collect::<Vec<_>>(), sizes);
    assert_eq!(controller.snapshot().flush.batch_items, 5);
}

#[tokio::test(start_paused = true)]
async fn a_batch_size_that_grew_holds_the_next_batch_until_it_is_full() {
    let target = taking([MS]);
    let controller = BackpressureController::builder(config(1_000, 68).build().unwrap())
        .flush(target.service())
        .adapt_batch_items(4)
        .spawn()
        .unwrap();
    (0..8).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    advance(MS).await;
    assert_eq!(target.batches(), [[0, 1, 2, 3]], "four are left, and five make a batch now");
    controller.try_push(8).unwrap();
    settle().await;
    assert_eq!(target.batches()[1..], [[4, 5, 6, 7, 8]]);
}

#[tokio::test(start_paused = true)]
async fn d7_sizes_of_zero_or_out_of_bounds_are_build_errors() {
    let spawn = |concurrency, smallest| {
        BackpressureController::builder(config(100, 10).build().unwrap())
            .flush(Target::<u32>::always(Act::Deliver).service())
            .concurrency(concurrency)
            .adapt_batch_items(smallest)
            .spawn()
    };
    assert_eq!(spawn(0, 1).unwrap_err().field(), "concurrency");
    assert_eq!(spawn(1, 0).unwrap_err().field(), "batch_size_min");
    assert_eq!(spawn(1, 11).unwrap_err().field(), "batch_size_min");
    assert!(spawn(usize::MAX, 10).is_ok());
}
