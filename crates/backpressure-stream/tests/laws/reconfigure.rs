//! Bounds and strategy of a stream that is in use.

use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BackpressureConfig, BatchConfig, BatchSizer, Capacity, FlushPacer, State, Strategy};
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

fn batch(max_items: usize, linger: Duration) -> BatchConfig {
    BatchConfig::builder().max_items(max_items).linger(linger).build().unwrap()
}

#[test]
fn r3_b1_a_batch_that_is_full_by_a_smaller_size_leaves_at_once_and_the_next_ones_obey() {
    let mut upstream = Script::new([]);
    (0..5).for_each(|n| upstream.tell(Step::Item(n)));
    let mut batches = upstream.micro_batch(batch(100, Duration::MAX));
    let handle = batches.handle();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    handle.reconfigure(batch(2, Duration::MAX)).unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![0, 1, 2, 3, 4])), "it was open");
    (5..8).for_each(|n| batches.get_mut().tell(Step::Item(n)));
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec![5, 6])));
    assert!(poll(&mut batches, &waker).is_pending());
    assert_eq!(handle.config(), batch(2, Duration::MAX));
}

#[test]
fn r3_b2_a_batch_goes_on_waiting_since_its_first_item_under_a_shorter_linger() {
    let ms = Duration::from_millis(1);
    let runtime = paused();
    let _context = runtime.enter();
    for waited in [3 * ms, 10 * ms] {
        let mut upstream = Script::new([]);
        upstream.tell(Step::Item('a'));
        let mut batches = upstream.micro_batch(batch(100, Duration::MAX));
        let handle = batches.handle();
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut batches, &waker).is_pending());
        push_clock(waited);
        handle.reconfigure(batch(100, 10 * ms)).unwrap();
        assert_eq!(wakes.count(), 1, "a parked task is woken");
        let polled = poll(&mut batches, &waker);
        if waited == 10 * ms {
            assert_eq!(polled, Poll::Ready(Some(vec!['a'])), "it has waited for as long");
            continue;
        }
        assert!(polled.is_pending());
        runtime.block_on(tokio::time::sleep(10 * ms - waited)); // tidy: paused clock
        assert_eq!(wakes.count(), 2, "by the timer");
        assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(vec!['a'])));
    }
}

#[test]
fn r3_b5_w3_a_longer_linger_leaves_no_timer_of_the_shorter_one() {
    let ms = Duration::from_millis(1);
    let runtime = paused();
    let _context = runtime.enter();
    let mut upstream = Script::new([]);
    upstream.tell(Step::Item('a'));
    let mut batches = upstream.micro_batch(batch(100, 5 * ms));
    let handle = batches.handle();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    handle.reconfigure(batch(100, 50 * ms)).unwrap();
    assert!(poll(&mut batches, &waker).is_pending());
    runtime.block_on(tokio::time::sleep(40 * ms)); // tidy: paused clock
    assert_eq!(wakes.count(), 1, "for the change");
    runtime.block_on(tokio::time::sleep(11 * ms)); // tidy: paused clock
    assert_eq!((wakes.count(), poll(&mut batches, &waker)), (2, Poll::Ready(Some(vec!['a']))));
}

#[test]
fn r1_what_is_learned_cannot_be_configured() {
    let ms = Duration::from_millis(1);
    let mut paced = Script::<u8>::ready([]).micro_batch(batch(10, 5 * ms));
    let handle = paced.handle();
    let mut paced = paced.adapt_linger(FlushPacer::new(ms, 50 * ms, 10 * ms).unwrap());
    let error = handle.reconfigure(batch(10, 6 * ms)).unwrap_err();
    assert_eq!(error.to_string(), "linger is 6ms, but must be 5ms, as it was, since another one is learned");
    assert_eq!((handle.config(), handle.reconfigure(batch(20, 5 * ms))), (batch(10, 5 * ms), Ok(())));
    assert_eq!(poll_once(&mut paced), Poll::Ready(None));

    let sized = Script::<u8>::ready([]).micro_batch(batch(10, 5 * ms));
    let mut sized = sized.adapt_size(BatchSizer::new(2, 8, 10 * ms).unwrap());
    let error = sized.handle().reconfigure(batch(20, 5 * ms)).unwrap_err();
    assert_eq!(error.to_string(), "max_items is 20, but must be 10, as it was, since another one is learned");
}

#[test]
fn r3_the_batches_of_all_keys_change_and_the_oldest_goes_first() {
    let mut upstream = Script::new([]);
    [10, 20, 11, 30, 21, 12].into_iter().for_each(|n| upstream.tell(Step::Item(n)));
    let mut batches = upstream.micro_batch_by(|n| n / 10, batch(100, Duration::MAX));
    let handle = batches.handle();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    handle.reconfigure(batch(2, Duration::MAX)).unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((1, vec![10, 11, 12]))));
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((2, vec![20, 21]))));
    assert!(poll(&mut batches, &waker).is_pending());
    batches.get_mut().tell(Step::Item(31));
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((3, vec![30, 31]))));

    let ms = Duration::from_millis(1);
    let runtime = paused();
    let _context = runtime.enter();
    batches.get_mut().tell(Step::Item(40));
    assert!(poll(&mut batches, &waker).is_pending());
    push_clock(7 * ms);
    handle.reconfigure(batch(2, 7 * ms)).unwrap();
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((4, vec![40]))));
}
