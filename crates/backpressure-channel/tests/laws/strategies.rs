//! What a full channel does under each strategy.

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{DropReason, Priority, State, Strategy};

use crate::support::{Losses, Task, balanced, blocking, built, config, drained, fill, now, open};

const fn evicting(items: usize) -> Result<Sent, SendError<u32>> {
    match std::num::NonZeroUsize::new(items) {
        Some(items) => Ok(Sent::Evicting(items)),
        None => Ok(Sent::Accepted),
    }
}

#[test]
fn block_waits_for_room_and_try_send_does_not() {
    let (tx, mut rx) = blocking(1);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(2), Err(SendError::Full(2)));
    let mut blocked = Task::pending(tx.send(3));
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!(blocked.poll(), std::task::Poll::Ready(Ok(Sent::Accepted)));
}

#[test]
fn drop_oldest_keeps_the_newest() {
    let (tx, mut rx) = open(2, Strategy::DropOldest);
    assert_eq!([1, 2, 3, 4].map(|n| tx.try_send(n)), [evicting(0), evicting(0), evicting(1), evicting(1)]);
    assert_eq!(drained(&mut rx), [3, 4]);
}

#[test]
fn drop_newest_keeps_the_oldest() {
    let (tx, mut rx) = open(2, Strategy::DropNewest);
    (1..=2).for_each(|n| assert_eq!(now(tx.send(n)), Ok(Sent::Accepted)));
    assert_eq!(now(tx.send(3)), Ok(Sent::Dropped(DropReason::Overflow)));
    assert_eq!(drained(&mut rx), [1, 2]);
}

#[test]
fn sample_thins_out_from_the_low_watermark_on_and_never_sticks() {
    let (tx, mut rx) = open(10, Strategy::Sample { one_in: 3 });
    fill(&tx, 0..5);
    assert_eq!(tx.gauge().state(), State::Elevated);
    let admitted: Vec<_> = (5..20).filter(|&n| tx.try_send(n).is_ok_and(Sent::is_accepted)).collect();
    assert_eq!(admitted, [5, 8, 11, 14, 17], "every third offer, up to the capacity");
    let counts = balanced(&tx.gauge());
    assert_eq!((counts.lost(DropReason::Sampled), counts.lost(DropReason::Overflow)), (10, 0));
    drained(&mut rx);
    assert!(tx.try_send(99).is_ok_and(Sent::is_accepted), "below the watermark everything is admitted again");
}

#[test]
fn reject_hands_back_at_once() {
    let (tx, mut rx) = open(1, Strategy::Reject);
    assert_eq!(now(tx.send(1)), Ok(Sent::Accepted));
    assert_eq!(now(tx.send(2)), Err(SendError::Full(2)));
    assert_eq!(now(tx.reserve()).expect("holds nothing").send(3), Err(SendError::Full(3)));
    assert_eq!(drained(&mut rx), [1]);
}

type Ranked = (u8, usize, &'static str);

fn names(items: impl IntoIterator<Item = Ranked>) -> Vec<&'static str> {
    items.into_iter().map(|item| item.2).collect()
}

/// Items are a rank, a weight and a name.
fn drop_lowest(capacity: usize, max_weight: usize) -> (Sender<Ranked>, Receiver<Ranked>, Losses<Ranked>) {
    let losses = Losses::new();
    let (tx, rx) = Builder::new(built(config(capacity, Strategy::DropLowest).max_weight(max_weight)))
        .rank_by(|item: &Ranked| Priority::new(item.0))
        .weigh_by(|item| item.1)
        .on_drop(losses.hook())
        .build();
    (tx, rx, losses)
}

#[test]
fn drop_lowest_discards_what_would_be_delivered_last() {
    let (tx, mut rx, losses) = drop_lowest(3, 100);
    for item in [(2, 1, "a"), (1, 1, "b"), (1, 1, "c")] {
        assert_eq!(tx.try_send(item), Ok(Sent::Accepted));
    }
    assert!(matches!(tx.try_send((2, 1, "d")), Ok(Sent::Evicting(_))));
    assert_eq!(losses.take(), [((1, 1, "c"), DropReason::Evicted)], "the newest of the lowest priority");
    assert_eq!(tx.try_send((1, 1, "e")), Ok(Sent::Dropped(DropReason::Overflow)), "which may be the incoming one");
    assert_eq!(losses.take(), [((1, 1, "e"), DropReason::Overflow)]);
    assert!(matches!(tx.try_send((7, 1, "f")), Ok(Sent::Evicting(_))));
    assert_eq!(names(drained(&mut rx)), ["f", "a", "d"]);
}

#[test]
fn drop_lowest_evicts_nobody_for_an_item_that_would_not_fit_all_the_same() {
    let (tx, mut rx, losses) = drop_lowest(10, 10);
    for item in [(5, 6, "important"), (1, 2, "a"), (1, 2, "b")] {
        assert_eq!(tx.try_send(item), Ok(Sent::Accepted));
    }
    assert_eq!(tx.try_send((3, 5, "heavy")), Ok(Sent::Dropped(DropReason::Overflow)), "a and b make room for four");
    assert_eq!(losses.take().len(), 1);
    assert!(matches!(tx.try_send((3, 4, "lighter")), Ok(Sent::Evicting(two)) if two.get() == 2));
    assert_eq!(names(losses.take().into_iter().map(|(item, _)| item)), ["b", "a"]);
    assert_eq!(names(drained(&mut rx)), ["important", "lighter"]);
}

#[test]
fn drop_lowest_without_ranks_discards_the_incoming_item() {
    let (tx, mut rx) = open(1, Strategy::DropLowest);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(2), Ok(Sent::Dropped(DropReason::Overflow)));
    assert_eq!(drained(&mut rx), [1]);
}

#[test]
fn drop_oldest_evicts_by_age_even_where_items_are_ranked() {
    let (tx, mut rx) =
        Builder::new(built(config(2, Strategy::DropOldest))).rank_by(|&rank: &u8| Priority::new(rank)).build();
    for rank in [7, 1, 2] {
        assert!(tx.try_send(rank).is_ok_and(Sent::is_accepted));
    }
    assert_eq!(drained(&mut rx), [2, 1]);
}
