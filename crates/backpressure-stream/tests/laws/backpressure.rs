//! The read-ahead buffer, case by case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure_core::{
    BackpressureConfig, BackpressureConfigBuilder, DropReason, Oversize, Priority, State, Strategy,
};
use backpressure_stream::BackpressureStreamExt;
use futures_util::stream::{self, FusedStream};
use futures_util::{FutureExt, Stream, StreamExt};

use crate::support::{Liar, Script, Step, Wakes, exhaust, poll, poll_once, read};

fn config(build: impl FnOnce(BackpressureConfigBuilder) -> BackpressureConfigBuilder) -> BackpressureConfig {
    build(BackpressureConfig::builder().capacity(4)).build().unwrap()
}

/// What a hook was given.
type Lost<T> = Arc<Mutex<Vec<(T, DropReason)>>>;

fn hook<T: Send + 'static>() -> (Lost<T>, impl Fn(T, DropReason) + Send + Sync + 'static) {
    let lost = Lost::default();
    let given = Arc::clone(&lost);
    (given, move |item, reason| lost.lock().unwrap().push((item, reason)))
}

#[test]
fn d2_a_stream_that_loses_nothing_pulls_nothing_without_room() {
    for strategy in [Strategy::block(), Strategy::Reject, Strategy::Block { max_wait: Duration::ZERO }] {
        let upstream = Script::ready(0..100);
        let pulled = upstream.pulled();
        let mut stream = upstream.backpressure(config(|config| config.strategy(strategy)));
        for yielded in 0..100 {
            assert!(read(&pulled) - yielded <= 4, "{strategy}");
            assert_eq!(poll_once(&mut stream), Poll::Ready(Some(yielded)));
        }
        assert_eq!(poll_once(&mut stream), Poll::Ready(None));
    }
}

#[test]
fn d2_it_reads_ahead_when_it_is_polled_and_only_then() {
    let upstream = Script::ready(0..100);
    let pulled = upstream.pulled();
    let mut stream = upstream.backpressure(config(|config| config));
    assert_eq!(read(&pulled), 0);
    assert!(poll_once(&mut stream).is_ready());
    assert_eq!(read(&pulled), 4, "the one that was yielded and three more");
}

#[test]
fn d3_an_item_too_heavy_for_the_room_left_waits_outside_and_stops_the_intake() {
    let upstream = Script::ready([3, 9, 1, 1]);
    let pulled = upstream.pulled();
    let mut stream = upstream.backpressure(config(|config| config.max_weight(10))).weigh_by(|&weight| weight);
    let gauge = stream.gauge();
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(3)));
    assert_eq!(read(&pulled), 2, "the heavy one keeps the others back");
    assert_eq!(gauge.snapshot().weight, 9);
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(9)));
    assert_eq!(exhaust(&mut stream), [1, 1]);
    assert!(gauge.snapshot().counts.balances());
}

#[test]
fn d3_an_oversize_item_is_admitted_alone_or_lost() {
    let upstream = || Script::ready([3, 11, 2]);
    let weighed = config(|config| config.max_weight(10));
    let mut stream = upstream().backpressure(weighed).weigh_by(|&weight| weight);
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(3)));
    assert_eq!(stream.gauge().utilization(), 1.1);
    assert_eq!(exhaust(&mut stream), [11, 2]);

    let (lost, hook) = hook();
    let refusing = config(|config| config.max_weight(10).oversize(Oversize::Refuse));
    let mut stream = upstream().backpressure(refusing).weigh_by(|&weight| weight).on_drop(hook);
    assert_eq!(exhaust(&mut stream), [3, 2]);
    assert_eq!(*lost.lock().unwrap(), [(11, DropReason::Overflow)]);
}

#[test]
fn d5_one_poll_pulls_at_most_64_items() {
    for strategy in [Strategy::block(), Strategy::DropOldest, Strategy::DropNewest, Strategy::sample()] {
        let upstream = Script::ready(0..1000);
        let polls = upstream.polls();
        let mut stream = upstream.backpressure(config(|config| config.capacity(10_000).strategy(strategy)));
        for n in 1..10 {
            assert!(poll_once(&mut stream).is_ready());
            assert!(read(&polls) <= n * 64, "{strategy}");
        }
    }
}

#[test]
fn d5_an_upstream_of_nothing_but_refusals_lets_the_executor_go_on() {
    let refusing = config(|config| config.max_weight(1).oversize(Oversize::Refuse));
    let mut stream = stream::repeat(()).backpressure(refusing).weigh_by(|()| 2);
    let (wakes, waker) = Wakes::new();
    for n in 1..4 {
        assert_eq!(poll(&mut stream, &waker), Poll::Pending);
        assert_eq!(wakes.count(), n);
    }
}

#[test]
fn d6_an_endless_capacity_takes_what_comes() {
    let endless = config(|config| config.capacity(usize::MAX).max_weight(usize::MAX));
    let mut stream = Script::ready(0..1000).backpressure(endless).weigh_by(|_| usize::MAX / 100);
    assert_eq!(exhaust(&mut stream), Vec::from_iter(0..1000));
}

#[test]
fn c3_every_lost_item_goes_to_the_hook_once_with_its_reason() {
    let cases = [
        (Strategy::DropOldest, vec![6, 7, 8, 9], DropReason::Evicted),
        (Strategy::DropNewest, vec![0, 1, 2, 3], DropReason::Overflow),
        (Strategy::DropLowest, vec![0, 1, 2, 3], DropReason::Overflow),
        (Strategy::Sample { one_in: 3 }, vec![0, 1, 2, 5], DropReason::Sampled),
    ];
    for (strategy, kept, expected) in cases {
        let (lost, hook) = hook();
        let mut stream = Script::ready(0..10).backpressure(config(|config| config.strategy(strategy))).on_drop(hook);
        assert_eq!(exhaust(&mut stream), kept, "{strategy}");
        let lost = lost.lock().unwrap();
        let mut all: Vec<i32> = lost.iter().map(|&(item, _)| item).chain(kept).collect();
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..10), "{strategy}");
        assert!(lost.iter().any(|&(_, reason)| reason == expected), "{strategy}: {lost:?}");
        assert_eq!(stream.gauge().snapshot().counts.lost(expected) as usize, {
            lost.iter().filter(|&&(_, reason)| reason == expected).count()
        });
    }
}

#[test]
fn c3_what_is_queued_when_it_is_dropped_goes_to_the_hook() {
    let (lost, hook) = hook();
    let mut stream = Script::ready(0..100).backpressure(config(|config| config)).on_drop(hook);
    let gauge = stream.gauge();
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
    drop(stream);
    assert_eq!(*lost.lock().unwrap(), [1, 2, 3].map(|item| (item, DropReason::Closed)));
    let counts = gauge.snapshot().counts;
    assert_eq!((counts.delivered, counts.queued, counts.dropped()), (1, 0, 3));
    assert!(counts.balances());
    assert_eq!(gauge.state(), State::Draining);
}

#[test]
fn c4_a_hook_that_panics_does_no_harm() {
    let upstream = Script::ready(0..10);
    let mut stream = upstream
        .backpressure(config(|config| config.strategy(Strategy::DropOldest)))
        .on_drop(|item, _| assert_ne!(item, 2, "the hook does not like it"));
    let gauge = stream.gauge();
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut stream))).is_err());
    assert!(gauge.snapshot().counts.balances());
    assert_eq!(exhaust(&mut stream), [6, 7, 8, 9], "the upstream is not to blame and is polled on");
    let counts = gauge.snapshot().counts;
    assert!(counts.balances());
    assert_eq!((counts.delivered, counts.evicted()), (4, 6));
}

#[test]
fn c6_a_million_refused_items_keep_nothing() {
    let upstream = stream::iter(0..1_000_000).map(Arc::new);
    let kept = Arc::new(Mutex::new(None));
    let last = Arc::clone(&kept);
    let mut stream = upstream
        .backpressure(config(|config| config.strategy(Strategy::DropNewest)))
        .on_drop(move |item, _| *last.lock().unwrap() = Some(Arc::downgrade(&item)));
    let mut yielded = 0;
    while let Some(Some(_)) = stream.next().now_or_never() {
        yielded += 1;
    }
    let counts = stream.gauge().snapshot().counts;
    assert_eq!((counts.received, counts.delivered + counts.dropped()), (1_000_000, 1_000_000));
    assert_eq!(counts.delivered, yielded);
    assert!(kept.lock().unwrap().as_ref().is_some_and(|item| item.upgrade().is_none()));
}

#[test]
fn o3_higher_priorities_go_first_and_the_lowest_are_dropped() {
    let ranked = config(|config| config.strategy(Strategy::DropLowest));
    let mut stream =
        Script::ready([1, 5, 0, 7, 3, 5]).backpressure(ranked).rank_by(|&priority| Priority::new(priority));
    assert_eq!(exhaust(&mut stream), [7, 5, 5, 3]);
}

#[test]
fn o3_a_rank_that_comes_too_late_loses_nothing() {
    let mut stream = Script::ready([1, 5, 0]).backpressure(config(|config| config));
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(1)));
    let mut stream = stream.rank_by(|&priority| Priority::new(priority));
    assert_eq!(exhaust(&mut stream), [5, 0]);
}

#[test]
fn w1_pending_hands_the_latest_waker_on() {
    let mut stream = Script::new([]).backpressure(config(|config| config));
    let ((first, waker), (second, other)) = (Wakes::new(), Wakes::new());
    assert_eq!(poll(&mut stream, &waker), Poll::Pending);
    assert_eq!(poll(&mut stream, &other), Poll::Pending);
    stream.get_mut().tell(Step::Item(1));
    assert_eq!((first.count(), second.count()), (0, 1));
    assert_eq!(poll(&mut stream, &other), Poll::Ready(Some(1)));
}

#[test]
fn w3_at_rest_nothing_wakes_itself() {
    let mut stream = Script::new([Step::Item(1), Step::Pause]).backpressure(config(|config| config));
    let (wakes, waker) = Wakes::new();
    assert_eq!(poll(&mut stream, &waker), Poll::Ready(Some(1)));
    assert!((0..10).all(|_| poll(&mut stream, &waker).is_pending()));
    assert_eq!(wakes.count(), 0);
}

#[test]
fn t1_the_end_comes_after_what_is_queued_and_the_state_says_draining() {
    let mut stream = Script::ready(0..3).backpressure(config(|config| config));
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
    assert_eq!(stream.gauge().state(), State::Draining);
    assert!(!stream.is_terminated());
    assert_eq!(exhaust(&mut stream), [1, 2]);
    assert!(stream.is_terminated());
}

#[test]
fn t2_after_the_end_it_stays_none_and_leaves_the_upstream_alone() {
    let upstream = Script::new([Step::Item(1), Step::End, Step::Item(2)]);
    let polls = upstream.polls();
    let mut stream = upstream.backpressure(config(|config| config));
    assert_eq!(exhaust(&mut stream), [1]);
    assert!((0..10).all(|_| poll_once(&mut stream) == Poll::Ready(None)));
    assert_eq!(read(&polls), 2);
}

#[test]
fn t3_a_panic_of_the_upstream_costs_nothing_that_was_queued() {
    let upstream = Script::new([Step::Item(1), Step::Item(2), Step::Panic, Step::Item(3)]);
    let polls = upstream.polls();
    let mut stream = upstream.backpressure(config(|config| config));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut stream))).is_err());
    assert_eq!(exhaust(&mut stream), [1, 2]);
    assert_eq!(read(&polls), 3);
    assert!(stream.gauge().snapshot().counts.balances());
}

#[test]
fn t6_dropping_it_drops_the_upstream_and_what_is_queued() {
    let item = Arc::new(());
    let mut stream = stream::repeat(Arc::clone(&item)).backpressure(config(|config| config));
    assert!(poll_once(&mut stream).is_ready());
    let gauge = stream.gauge();
    drop(stream);
    assert_eq!(Arc::strong_count(&item), 1);
    assert_eq!(gauge.snapshot().counts.queued, 0);
}

#[test]
fn x2_what_was_read_ahead_can_be_taken_out() {
    let mut stream = Script::ready(0..100).backpressure(config(|config| config));
    let gauge = stream.gauge();
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
    let (mut upstream, read_ahead) = stream.into_parts();
    assert_eq!(read_ahead, [1, 2, 3]);
    assert_eq!(poll_once(&mut upstream), Poll::Ready(Some(4)));
    let counts = gauge.snapshot().counts;
    assert_eq!((counts.delivered, counts.received), (4, 4));

    let heavy = config(|config| config.max_weight(10));
    let mut stream = Script::ready([3, 9, 1]).backpressure(heavy).weigh_by(|&weight| weight);
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(3)));
    let mut stream = stream.backpressure(config(|config| config)); // and nested
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(9)));
    assert_eq!(stream.into_remainder(), [1]);
}

#[test]
fn x2_a_next_that_is_dropped_takes_nothing_along() {
    let mut stream = Script::new([Step::Pause, Step::Item(1), Step::Pause, Step::Item(2), Step::End])
        .backpressure(config(|config| config));
    let mut items = Vec::new();
    for _ in 0..6 {
        if let Some(Some(item)) = stream.next().now_or_never() {
            items.push(item);
        }
    }
    assert_eq!(items, [1, 2]);
}

#[test]
fn i2_a_size_hint_that_lies_is_harmless() {
    for lie in [(usize::MAX, Some(usize::MAX)), (usize::MAX, None), (0, Some(0))] {
        let mut stream = Liar(Script::ready(0..3), lie).backpressure(config(|config| config));
        assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
        let _ = stream.size_hint();
        assert_eq!(exhaust(&mut stream), [1, 2]);
    }
}

#[test]
fn c3_what_is_lost_goes_to_the_hook_even_if_a_watcher_panics() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a watcher");
        }
    }
    let bad = Waker::from(Arc::new(Panics));
    let panics = |act: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(act)).is_err();
    let ((evicted, evict), (queued, drop_queued)) = (hook(), hook());

    let steps = [5, 5, 1].map(Step::Item).into_iter().chain([Step::Pause]);
    let limits = config(|config| config.max_weight(10).strategy(Strategy::DropOldest));
    let mut stream = Script::new(steps).backpressure(limits).weigh_by(|weight| *weight).on_drop(evict);
    let mut changed = Box::pin(stream.gauge().changed());
    assert!(changed.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    assert!(panics(&mut || assert!(poll_once(&mut stream).is_ready())));
    assert_eq!(*evicted.lock().unwrap(), [(5, DropReason::Evicted)]);
    assert!(stream.gauge().snapshot().counts.balances());

    let steps = [0, 1, 2].map(Step::Item).into_iter().chain([Step::Pause]);
    let mut stream = Script::new(steps).backpressure(config(|config| config)).on_drop(drop_queued);
    let gauge = stream.gauge();
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
    let mut changed = Box::pin(gauge.changed());
    assert!(changed.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    let mut stream = Some(stream);
    assert!(panics(&mut || drop(stream.take())));
    assert_eq!(*queued.lock().unwrap(), [1, 2].map(|item| (item, DropReason::Closed)));
    assert!(gauge.snapshot().counts.balances());
}
