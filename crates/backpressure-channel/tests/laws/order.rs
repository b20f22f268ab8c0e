//! O: first in, first out; first come, first served.

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{Priority, Strategy};
use proptest::prelude::*;

use crate::support::{READY, STRATEGIES, SinkPolls, Task, Wakes, blocking, built, config, drained, open};

#[test]
fn o1_the_items_of_one_producer_arrive_in_the_order_they_were_sent_by_whatever_way() {
    let (tx, mut rx) = blocking(1);
    let mut sink = tx.clone();
    let wakes = Wakes::default();
    let mut received = Vec::new();
    for round in 0..5 {
        let n = 4 * round;
        assert_eq!(sink.ready(&wakes), READY);
        assert_eq!(sink.start(n), Ok(()));
        let mut second = Task::pending(tx.send(n + 1));
        received.extend(rx.try_recv());
        assert!(second.poll().is_ready());
        received.extend(rx.try_recv());
        assert_eq!(tx.try_send(n + 2), Ok(Sent::Accepted));
        let third = Task::pending(tx.reserve());
        received.extend(rx.try_recv());
        assert_eq!(third.finish().expect("served").send(n + 3), Ok(Sent::Accepted));
        received.extend(rx.try_recv());
    }
    assert!(received.iter().copied().eq(0..20), "{received:?}");
}

proptest! {
    #[test]
    fn o2_what_a_dropping_channel_delivers_is_a_subsequence_of_what_was_sent(
        strategy in prop::sample::select(&STRATEGIES[..]),
        capacity in 1_usize..6,
        sends in prop::collection::vec(0_usize..4, 1..60),
    ) {
        let (tx, mut rx) = open(capacity, strategy);
        let mut received = Vec::new();
        for (n, receives) in sends.into_iter().enumerate() {
            let _ = tx.try_send(n);
            received.extend((0..receives).filter_map(|_| rx.try_recv()));
        }
        received.extend(drained(&mut rx));
        prop_assert!(received.is_sorted_by(|a, b| a < b), "{strategy}: {received:?}");
    }
}

type Ranked = (u8, usize);

fn ranked(capacity: usize, strategy: Strategy) -> (Sender<Ranked>, Receiver<Ranked>) {
    Builder::new(built(config(capacity, strategy))).rank_by(|&(rank, _): &Ranked| Priority::new(rank)).build()
}

#[test]
fn o3_higher_priorities_go_first_and_inside_one_it_is_first_in_first_out() {
    let (tx, mut rx) = ranked(100, Strategy::Reject);
    for item in [(1, 0), (5, 0), (1, 1), (7, 0), (5, 1), (0, 0)] {
        assert_eq!(tx.try_send(item), Ok(Sent::Accepted));
    }
    assert_eq!(drained(&mut rx), [(7, 0), (5, 0), (5, 1), (1, 0), (1, 1), (0, 0)]);
}

#[test]
fn o3_nothing_starves_under_a_stream_of_more_important_items() {
    let (tx, mut rx) = ranked(1000, Strategy::Reject);
    const LOWLY: usize = 5;
    (0..LOWLY).for_each(|n| assert_eq!(tx.try_send((0, n)), Ok(Sent::Accepted)));
    let mut left = Vec::new();
    for n in 0..16 * LOWLY {
        assert_eq!(tx.try_send((7, n)), Ok(Sent::Accepted));
        let item = rx.try_recv().expect("there is one");
        if item.0 == 0 {
            left.push(item.1);
            assert!(n < 16 * (item.1 + 1), "item {} had {} older ones and left as number {n}", item.1, item.1);
        }
    }
    assert_eq!(left, [0, 1, 2, 3, 4]);
}

#[test]
fn o4_blocked_producers_are_served_in_the_order_they_came_whatever_they_wait_with() {
    let (tx, mut rx) = blocking(1);
    assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
    let mut first = Task::pending(tx.send(1));
    let mut sink = tx.clone();
    let (sink_wakes, again) = (Wakes::default(), Wakes::default());
    assert!(sink.ready(&sink_wakes).is_pending());
    let third = Task::pending(tx.reserve());
    let mut fourth = Task::pending(tx.send(4));
    let woken = || [first.wakes.count(), sink_wakes.count(), third.wakes.count(), fourth.wakes.count()];

    assert_eq!(rx.try_recv(), Some(0));
    assert_eq!(woken(), [1, 0, 0, 0]);
    assert!(first.poll().is_ready());
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!([sink_wakes.count(), third.wakes.count(), fourth.wakes.count()], [1, 0, 0]);
    assert!(sink.ready(&again).is_ready());
    assert_eq!(sink.start(2), Ok(()));
    assert_eq!(rx.try_recv(), Some(2));
    assert_eq!([third.wakes.count(), fourth.wakes.count()], [1, 0]);
    assert_eq!(third.finish().expect("served").send(3), Ok(Sent::Accepted));
    assert_eq!(rx.try_recv(), Some(3));
    assert!(fourth.poll().is_ready());
    assert_eq!(rx.try_recv(), Some(4));
}

#[test]
fn o4_nobody_overtakes_a_producer_that_waits() {
    let (tx, mut rx) =
        Builder::new(built(config(10, Strategy::block_forever()).max_weight(10))).weigh_by(|&w| w).build();
    assert_eq!(tx.try_send(6), Ok(Sent::Accepted));
    let mut heavy = Task::pending(tx.send(5));
    assert_eq!(tx.try_send(1), Err(SendError::Full(1)), "one would fit, but it is not its turn");
    assert_eq!(tx.try_reserve().err(), Some(SendError::Full(())));
    let mut sink = tx.clone();
    assert!(sink.ready(&Wakes::default()).is_pending());
    let mut light = Task::pending(tx.send(2));
    assert_eq!(rx.try_recv(), Some(6));
    assert!(light.is_woken(), "heavy, sink and light fit together");
    assert!(light.poll().is_ready() && heavy.poll().is_ready());
    assert!(sink.ready(&Wakes::default()).is_ready());
}

#[test]
fn o4_one_that_gives_up_its_place_is_passed_over() {
    for leaver in 0..3 {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
        let mut line: Vec<_> = (1..=3).map(|n| Some(Task::pending(tx.send(n)))).collect();
        line[leaver] = None;
        let mut received = Vec::new();
        while let Some(item) = rx.try_recv() {
            received.push(item);
            let served = line.iter_mut().find(|task| task.as_ref().is_some_and(Task::is_woken));
            if let Some(task) = served.and_then(Option::take) {
                assert_eq!(task.finish(), Ok(Sent::Accepted));
            }
        }
        let expected: Vec<_> = (0..=3).filter(|&n| n != leaver + 1).collect();
        assert_eq!(received, expected);
    }
}
