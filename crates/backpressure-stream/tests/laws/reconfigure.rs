//! Bounds and strategy of a stream that is in use.

use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BackpressureConfig, Capacity, State, Strategy};
use backpressure_stream::BackpressureStreamExt;

use crate::support::{Script, Step, Wakes, paused, poll, poll_once, push_clock, read};

fn config(capacity: usize, strategy: Strategy) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(capacity).batch_items(1).strategy(strategy).build().unwrap()
}

#[test]
fn r2_a_smaller_buffer_reads_nothing_until_what_it_holds_fits() {
    let upstream = Script::ready(0..100);
    let pulled = upstream.pulled();
    let mut stream = upstream.backpressure(config(8, Strategy::block()));
    let handle = stream.handle();
    assert_eq!((poll_once(&mut stream), read(&pulled)), (Poll::Ready(Some(0)), 8));
    handle.reconfigure(config(2, Strategy::block())).unwrap();
    assert_eq!(handle.gauge().snapshot().capacity, 8, "the stream takes it when it is polled");
    for n in 1..6 {
        assert_eq!((poll_once(&mut stream), read(&pulled)), (Poll::Ready(Some(n)), 8));
        assert_eq!((handle.gauge().snapshot().capacity, handle.gauge().state()), (2, State::Blocked));
    }
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some(6)));
    assert!(handle.gauge().state() < State::Blocked);
}

#[test]
fn r3_w3_a_task_that_waits_is_woken_once_for_what_is_left_for_it() {
    let mut upstream = Script::new([]);
    upstream.tell(Step::Item(1));
    let mut stream = upstream.backpressure(config(4, Strategy::block()));
    let handle = stream.handle();
    let (wakes, waker) = Wakes::new();
    assert_eq!(poll(&mut stream, &waker), Poll::Ready(Some(1)));
    assert!(poll(&mut stream, &waker).is_pending());
    handle.reconfigure(config(9, Strategy::DropOldest)).unwrap();
    handle.reconfigure(config(7, Strategy::DropOldest)).unwrap();
    assert_eq!(wakes.count(), 1);
    assert!(poll(&mut stream, &waker).is_pending());
    let snapshot = handle.gauge().snapshot();
    assert_eq!((snapshot.capacity, snapshot.strategy, wakes.count()), (7, Strategy::DropOldest, 1));
}

#[test]
fn r3_an_item_that_waits_outside_enters_a_buffer_that_grows_or_meets_the_new_strategy() {
    let weighed =
        |max, strategy| BackpressureConfig::builder().capacity(9).max_weight(max).strategy(strategy).build().unwrap();
    for (max, strategy, lost) in [(9, Strategy::block(), 0), (4, Strategy::DropNewest, 1)] {
        let upstream = Script::ready([3, 1, 4, 0]);
        let mut stream = upstream.backpressure(weighed(4, Strategy::block())).weigh_by(|n: &usize| *n);
        let handle = stream.handle();
        assert_eq!(poll_once(&mut stream), Poll::Ready(Some(3)));
        handle.reconfigure(weighed(max, strategy)).unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| match poll_once(&mut stream) {
            Poll::Ready(item) => item,
            Poll::Pending => panic!("it is all there"),
        })
        .collect();
        let counts = handle.gauge().snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!((rest.len(), counts.dropped()), (3 - lost, lost as u64), "{strategy}");
    }
}

#[test]
fn r1_whether_items_are_weighed_cannot_change() {
    let mut stream = Script::ready(0..3).backpressure(config(2, Strategy::block()));
    let handle = stream.handle();
    let weighed = BackpressureConfig::builder().max_weight(9).build().unwrap();
    assert_eq!(handle.reconfigure(weighed).unwrap_err().field(), "max_weight");
    assert_eq!(handle.config(), config(2, Strategy::block()));
    drop(stream);
    handle.reconfigure(config(3, Strategy::block())).unwrap();
}

#[test]
fn q1_the_capacity_follows_what_the_consumer_takes() {
    let ms = Duration::from_millis(1);
    let capacity = Capacity::within(100 * ms).floor(4).ceiling(1_000);
    let config = BackpressureConfig::builder().capacity_within(capacity).batch_items(1).build().unwrap();
    let mut stream = Script::ready(0..10_000).backpressure(config);
    let gauge = stream.gauge();
    let runtime = paused();
    let _context = runtime.enter();
    for (pace, items) in [(ms, 100), (ms / 5, 500), (10 * ms, 10)] {
        for _ in 0..2 * gauge.snapshot().capacity + 4 * items {
            push_clock(pace);
            assert!(poll_once(&mut stream).is_ready());
        }
        let capacity = gauge.snapshot().capacity;
        assert!(capacity.abs_diff(items) <= items / 10, "{capacity} at {pace:?}");
    }
}
