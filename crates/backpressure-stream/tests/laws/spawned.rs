//! The upstream in a task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure_core::{BackpressureConfig, BackpressureConfigBuilder, DropReason, Priority, State, Strategy};
use backpressure_stream::BackpressureStreamExt;
use futures_util::stream::{self, FusedStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::task::yield_now;
use tokio::time::advance;

use crate::support::{Script, Step, poll_once, read};

fn config(build: impl FnOnce(BackpressureConfigBuilder) -> BackpressureConfigBuilder) -> BackpressureConfig {
    build(BackpressureConfig::builder().capacity(4)).build().unwrap()
}

/// Lets the task do what it can.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// Why the next item is a panic.
async fn panic_of<St: Stream + Unpin>(stream: &mut St) -> String {
    let Err(panic) = AssertUnwindSafe(stream.next()).catch_unwind().await else { panic!("it does not panic") };
    panic.downcast_ref::<&str>().map_or_else(|| panic.downcast_ref::<String>().unwrap().clone(), ToString::to_string)
}

#[tokio::test]
async fn d2_the_task_reads_ahead_as_far_as_there_is_room() {
    for strategy in [Strategy::block(), Strategy::Reject] {
        let upstream = Script::ready(0..100);
        let pulled = upstream.pulled();
        let mut stream = upstream.backpressure(config(|config| config.strategy(strategy))).spawn();
        for n in 0..100 {
            settle().await;
            assert_eq!(read(&pulled), (n + 4).min(100), "{strategy}");
            assert_eq!(stream.next().await, Some(n));
        }
        assert_eq!(stream.next().await, None);
        assert!(stream.is_terminated());
    }
}

#[tokio::test]
async fn d4_a_task_that_waits_for_its_upstream_holds_no_slot() {
    let stream = Script::new([Step::<()>::Pause]).backpressure(config(|config| config.capacity(1))).spawn();
    settle().await;
    assert_eq!((stream.gauge().state(), stream.gauge().utilization()), (State::Normal, 0.0));
}

#[tokio::test]
async fn d5_an_upstream_that_never_pauses_lets_others_work() {
    let endless = stream::repeat(()).backpressure(config(|config| config.strategy(Strategy::DropOldest))).spawn();
    let gauge = endless.gauge();
    settle().await;
    let first = gauge.snapshot().counts.evicted();
    settle().await;
    assert!(first > 0 && gauge.snapshot().counts.evicted() > first);
}

#[tokio::test(start_paused = true)]
async fn c2_a_block_that_outlasts_the_longest_wait_loses_nothing() {
    let impatient = config(|config| config.strategy(Strategy::Block { max_wait: Duration::from_millis(1) }));
    let stream = Script::ready(0..20).backpressure(impatient).spawn();
    let gauge = stream.gauge();
    settle().await;
    advance(Duration::from_secs(3600)).await;
    assert_eq!(gauge.state(), State::Blocked);
    assert_eq!(stream.collect::<Vec<_>>().await, Vec::from_iter(0..20));
    let counts = gauge.snapshot().counts;
    assert_eq!((counts.received, counts.delivered), (20, 20));
}

#[tokio::test]
async fn c2_a_heavy_item_waits_for_room() {
    let weighed = config(|config| config.max_weight(10));
    let upstream = Script::ready([9, 8, 1, 15, 2]);
    let stream = upstream.backpressure(weighed).weigh_by(|&weight| weight).spawn();
    let gauge = stream.gauge();
    settle().await;
    assert_eq!(gauge.snapshot().weight, 9);
    assert_eq!(stream.collect::<Vec<_>>().await, [9, 8, 1, 15, 2]);
    assert!(gauge.snapshot().counts.balances());
}

#[tokio::test]
async fn c3_every_lost_item_goes_to_the_hook_once() {
    let lost = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&lost);
    let dropping = config(|config| config.strategy(Strategy::DropOldest));
    let stream = Script::ready(0..10)
        .backpressure(dropping)
        .on_drop(move |item, reason| hook.lock().unwrap().push((item, reason)))
        .spawn();
    settle().await;
    drop(stream);
    let expected = (0..6).map(|item| (item, DropReason::Evicted));
    let expected = expected.chain((6..10).map(|item| (item, DropReason::Closed)));
    assert_eq!(*lost.lock().unwrap(), Vec::from_iter(expected));
}

#[tokio::test]
async fn c1_c3_an_item_that_comes_after_the_end_goes_to_the_hook_and_is_counted() {
    for max_weight in [None, Some(10)] {
        let (lost, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let (hook, ends) = (Arc::clone(&lost), Arc::clone(&end));
        let upstream = stream::poll_fn(move |_| {
            drop(ends.lock().unwrap().take());
            Poll::Ready(Some(7))
        });
        let config = config(|config| match max_weight {
            Some(max_weight) => config.max_weight(max_weight),
            None => config,
        });
        let stream = upstream
            .backpressure(config)
            .on_drop(move |item, reason| hook.lock().unwrap().push((item, reason)))
            .spawn();
        let gauge = stream.gauge();
        *end.lock().unwrap() = Some(stream);
        settle().await;
        assert_eq!(*lost.lock().unwrap(), [(7, DropReason::Closed)], "{max_weight:?}");
        let counts = gauge.snapshot().counts;
        assert!(counts.balances());
        assert_eq!((counts.received, counts.rejected), (1, 1), "{max_weight:?}");
    }
}

#[tokio::test]
async fn c3_an_item_too_heavy_to_have_entered_is_not_forgotten() {
    let lost = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&lost);
    let stream = Script::ready([9, 8])
        .backpressure(config(|config| config.max_weight(10)))
        .weigh_by(|&weight| weight)
        .on_drop(move |item, reason| hook.lock().unwrap().push((item, reason)))
        .spawn();
    let gauge = stream.gauge();
    settle().await;
    drop(stream);
    settle().await;
    assert_eq!(*lost.lock().unwrap(), [(9, DropReason::Closed), (8, DropReason::Closed)]);
    assert!(gauge.snapshot().counts.balances());
}

#[tokio::test]
async fn o3_ranks_are_kept_across_the_spawn() {
    let upstream = Script::ready([1, 5, 0, 7]);
    let stream = upstream.backpressure(config(|config| config)).rank_by(|&priority| Priority::new(priority)).spawn();
    settle().await;
    assert_eq!(stream.collect::<Vec<_>>().await, [7, 5, 1, 0]);
}

#[tokio::test]
async fn t1_closing_it_ends_the_upstream_and_delivers_what_is_queued() {
    let upstream = Arc::new(());
    let held = Arc::clone(&upstream);
    let endless = stream::iter(0..).inspect(move |_| drop(Arc::clone(&held)));
    let mut stream = endless.backpressure(config(|config| config)).spawn();
    settle().await;
    stream.close();
    stream.close();
    settle().await;
    assert_eq!(Arc::strong_count(&upstream), 1);
    assert_eq!(stream.by_ref().collect::<Vec<_>>().await, [0, 1, 2, 3]);
    assert_eq!(stream.next().await, None);
    assert!(stream.is_terminated());
}

#[tokio::test]
async fn t3_a_panic_of_the_upstream_resurfaces_after_what_was_queued() {
    let mut stream =
        Script::new([Step::Item(1), Step::Item(2), Step::Panic]).backpressure(config(|config| config)).spawn();
    settle().await;
    assert_eq!((stream.next().await, stream.next().await), (Some(1), Some(2)));
    assert_eq!(panic_of(&mut stream).await, "as the script says");
    assert_eq!(stream.next().await, None, "once");
}

#[tokio::test]
async fn t3_so_does_a_panic_of_a_hook() {
    let dropping = config(|config| config.strategy(Strategy::DropNewest));
    let hooked = Script::ready(0..5).backpressure(dropping).on_drop(|_, _| panic!("not that one"));
    let mut stream = hooked.spawn();
    settle().await;
    assert_eq!(stream.by_ref().take(4).collect::<Vec<_>>().await, [0, 1, 2, 3]);
    assert_eq!(panic_of(&mut stream).await, "not that one");
}

#[tokio::test]
async fn t6_dropping_it_ends_the_task() {
    let upstream = Arc::new(());
    for wait in [false, true] {
        let held = Arc::clone(&upstream);
        let paused = stream::poll_fn(move |_| {
            let _ = &held;
            if wait { Poll::Pending } else { Poll::Ready(Some(())) }
        });
        let stream = paused.backpressure(config(|config| config)).spawn();
        settle().await;
        drop(stream);
        settle().await;
        assert_eq!(Arc::strong_count(&upstream), 1, "waiting for its upstream: {wait}");
    }
}

#[tokio::test]
async fn x2_what_was_read_ahead_before_comes_first() {
    let mut stream = Script::ready(0..10).backpressure(config(|config| config));
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
    let stream = stream.spawn();
    assert_eq!(stream.size_hint().0, 3);
    assert_eq!(stream.collect::<Vec<_>>().await, Vec::from_iter(1..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_output_is_input_across_threads() {
    for capacity in [1, 2, 7, 1000] {
        let stream = stream::iter(0..5000).backpressure(config(|config| config.capacity(capacity))).spawn();
        assert_eq!(stream.collect::<Vec<_>>().await, Vec::from_iter(0..5000));
    }
}

#[tokio::test]
async fn t6_the_task_ends_even_if_a_waker_panics() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a watcher");
        }
    }
    let bad = Waker::from(Arc::new(Panics));
    for closes in [true, false] {
        let upstream = Arc::new(());
        let kept = Arc::clone(&upstream);
        let endless = stream::pending::<()>().inspect(move |()| drop(Arc::clone(&kept)));
        let mut stream = endless.backpressure(config(|config| config)).spawn();
        settle().await;
        let mut changed = Box::pin(stream.gauge().changed());
        assert!(changed.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
        let mut kept = None;
        let act = || {
            if closes {
                stream.close();
                kept = Some(stream);
            } else {
                drop(stream);
            }
        };
        assert!(catch_unwind(AssertUnwindSafe(act)).is_err());
        settle().await;
        assert_eq!(Arc::strong_count(&upstream), 1, "the upstream is gone");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn m2_waits_of_the_task_are_in_the_wait_time_in_vain_or_not() {
    for ending in ["room", "close", "drop"] {
        let mut stream = stream::repeat(7).backpressure(config(|config| config)).spawn();
        let gauge = stream.gauge();
        settle().await;
        assert_eq!(gauge.snapshot().producers_waiting, 1);
        advance(Duration::from_millis(500)).await;
        match ending {
            "room" => assert_eq!(stream.next().await, Some(7)),
            "close" => stream.close(),
            _ => drop(stream),
        }
        settle().await;
        let snapshot = gauge.snapshot();
        assert_eq!(snapshot.producers_waiting, usize::from(ending == "room"), "it waits again");
        let p99 = snapshot.producer_wait_p99;
        assert!(
            p99 >= Some(Duration::from_millis(400)) && p99 <= Some(Duration::from_millis(600)),
            "{ending}: {p99:?}"
        );
    }
}
