use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[test]
fn c5_what_is_accepted_is_in_the_buffer_while_there_is_room() {
    for strategy in all() {
        let mut buffer = built(bounded(2, strategy));
        assert_eq!(buffer.offer(7, Tag::default()), Offer::Accepted, "{strategy}");
        assert_eq!((buffer.len(), buffer.held(), buffer.accepted()), (1, 1, 1), "{strategy}");
        assert_eq!(contents(&mut buffer), [7], "{strategy}");
    }
}

#[test]
fn d3_a_full_buffer_without_losses_hands_the_item_back() {
    for strategy in LOSSLESS {
        for capacity in [1, 3] {
            let mut buffer = filled(capacity, strategy);
            assert_eq!(buffer.offer(9, Tag::default()), Offer::Full(9), "{strategy}");
            assert_eq!(buffer.pop(), Some(0));
            assert_eq!(buffer.offer(9, Tag::default()), Offer::Accepted, "{strategy}");
            assert_eq!(contents(&mut buffer).last(), Some(&9), "{strategy}");
        }
    }
}

#[test]
fn o2_drop_oldest_keeps_the_newest_in_order() {
    let mut buffer = filled(3, Strategy::DropOldest);
    assert_eq!(evicted(buffer.offer(3, Tag::default())), [0]);
    assert_eq!(evicted(buffer.offer(4, Tag::default())), [1]);
    assert_eq!((buffer.oldest(), buffer.accepted()), (2, 5));
    assert_eq!(contents(&mut buffer), [2, 3, 4]);

    let mut single = filled(1, Strategy::DropOldest);
    assert_eq!(evicted(single.offer(1, Tag::default())), [0]);
    assert_eq!(contents(&mut single), [1]);
}

#[test]
fn drop_newest_and_a_full_sample_keep_what_is_queued() {
    for strategy in [Strategy::DropNewest, Strategy::Sample { one_in: 1 }] {
        let mut buffer = filled(3, strategy);
        assert_eq!(buffer.offer(3, Tag::default()), Offer::Dropped(3, DropReason::Overflow), "{strategy}");
        assert_eq!(contents(&mut buffer), [0, 1, 2], "{strategy}");
    }
}

#[test]
fn sample_takes_everything_below_the_low_watermark_and_every_nth_from_there() {
    let mut buffer = built(bounded(10, Strategy::Sample { one_in: 3 }));
    let answers: String = (0..24)
        .map(|item| match buffer.offer(item, Tag::default()) {
            Offer::Accepted => 'a',
            Offer::Dropped(_, DropReason::Sampled) => 's',
            Offer::Dropped(_, DropReason::Overflow) => 'o',
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, "aaaaaassassassassassosso");
    assert_eq!(contents(&mut buffer), [0, 1, 2, 3, 4, 5, 8, 11, 14, 17]);
}

#[test]
fn sample_does_not_stick_once_it_has_dropped() {
    let mut buffer = filled(5, Strategy::sample());
    buffer.pop();
    for round in 0..100 {
        let admitted = (0..10).filter(|&item| buffer.offer(item, Tag::default()).is_accepted()).count();
        assert_eq!(admitted, 1, "in round {round}");
        buffer.pop();
    }
}

#[test]
fn d6_a_sample_of_every_and_of_hardly_any_offer() {
    let mut every = filled(4, Strategy::Sample { one_in: 1 });
    every.pop();
    assert_eq!(every.offer(4, Tag::default()), Offer::Accepted);

    let mut hardly = filled(4, Strategy::Sample { one_in: u32::MAX });
    hardly.pop();
    assert_eq!(hardly.offer(4, Tag::default()), Offer::Accepted, "the first under pressure");
    hardly.sampled = u32::MAX - 1;
    assert_eq!(hardly.offer(5, Tag::default()), Offer::Dropped(5, DropReason::Sampled));
    hardly.pop();
    assert_eq!(hardly.offer(6, Tag::default()), Offer::Accepted, "the count starts over");
}

#[test]
fn t5_a_closed_buffer_hands_offers_back_and_delivers_what_it_has() {
    for strategy in all() {
        let mut buffer = filled(2, strategy);
        buffer.close();
        buffer.close();
        assert!(buffer.is_closed());
        assert_eq!(buffer.offer(9, Tag::default()), Offer::Closed(9), "{strategy}");
        assert!(!buffer.try_reserve(1), "{strategy}");
        assert_eq!(contents(&mut buffer), [0, 1], "{strategy}");
        assert_eq!(buffer.offer(9, Tag::default()), Offer::Closed(9), "{strategy}, emptied");
    }
}

#[test]
fn c6_a_million_refused_offers_keep_nothing() {
    for strategy in LOSSLESS.into_iter().chain([Strategy::DropNewest, Strategy::sample(), Strategy::DropLowest]) {
        let mut buffer = filled(3, strategy);
        for item in 0..1_000_000 {
            assert!(!buffer.offer(item, Tag::default()).is_accepted(), "{strategy}");
        }
        assert_eq!((buffer.held(), buffer.accepted()), (3, 3), "{strategy}");
        assert_eq!(contents(&mut buffer), [0, 1, 2], "{strategy}");
    }
}

#[test]
fn d6_the_largest_bounds_work() {
    for strategy in all() {
        let builder = bounded(usize::MAX, strategy).max_weight(usize::MAX).batch_items(usize::MAX);
        for mut buffer in [built(builder.clone()), built(builder).prioritized()] {
            assert_eq!(buffer.offer(1, weighing(1)), Offer::Accepted);
            assert_eq!(buffer.state(State::Normal), State::Normal);
            let mut out = Vec::new();
            assert_eq!(buffer.pop_many(&mut out, usize::MAX, usize::MAX), 1);
            assert_eq!(buffer.pop_many(&mut out, usize::MAX, usize::MAX), 0);
        }
    }
}

#[test]
fn c2_o2_an_exchange_is_an_offer_that_evicts_the_oldest() {
    let mut buffer = filled(3, Strategy::DropOldest);
    for incoming in 3..10 {
        let mut item = incoming;
        assert!(buffer.exchange(&mut item));
        assert_eq!((item, buffer.len(), buffer.room()), (incoming - 3, 3, 0));
        assert_eq!((buffer.accepted(), buffer.oldest()), (u64::from(incoming) + 1, u64::from(incoming) - 2));
    }
    assert_eq!(contents(&mut buffer), [7, 8, 9]);
}

#[test]
fn c2_what_is_more_than_an_exchange_is_left_to_the_offer() {
    let with_room = built(bounded(1, Strategy::DropOldest));
    let mut closed = filled(1, Strategy::DropOldest);
    closed.close();
    let mut reserved = built(bounded(1, Strategy::DropOldest));
    assert!(reserved.try_reserve(1));
    let mut weighed = built(bounded(1, Strategy::DropOldest).max_weight(5));
    assert!(weighed.offer(0, weighing(1)).is_accepted());
    let ranked = filled(1, Strategy::DropOldest).prioritized();
    let others = all().filter(|strategy| *strategy != Strategy::DropOldest).map(|strategy| filled(1, strategy));
    for mut buffer in others.chain([with_room, closed, reserved, weighed, ranked]) {
        let (mut item, before) = (9, (buffer.len(), buffer.accepted()));
        assert!(!buffer.exchange(&mut item));
        assert_eq!((item, (buffer.len(), buffer.accepted())), (9, before), "{buffer:?}");
    }
}

#[test]
fn c5_d3_a_push_is_an_offer_that_finds_room() {
    for strategy in all().filter(|strategy| !matches!(strategy, Strategy::Sample { .. })) {
        let mut buffer = built(bounded(3, strategy));
        assert!(buffer.try_reserve(1));
        assert_eq!((buffer.push(0), buffer.push(1), buffer.push(2)), (Ok(()), Ok(()), Err(2)), "{strategy}");
        assert_eq!((buffer.len(), buffer.held(), buffer.accepted(), buffer.oldest()), (2, 3, 2, 0));
        assert_eq!(contents(&mut buffer), [0, 1]);
    }
}

#[test]
fn c5_an_item_is_asked_for_only_if_there_is_room_and_may_be_refused_by_a_panic() {
    let mut buffer = built(bounded(1, Strategy::block()));
    let panicked = catch_unwind(AssertUnwindSafe(|| buffer.push_with(|| panic!("no item"))));
    assert!(panicked.is_err());
    assert_eq!((buffer.len(), buffer.held(), buffer.accepted()), (0, 0, 0));
    assert!(buffer.push_with(|| 1));
    assert!(!buffer.push_with(|| panic!("it is not asked for")));
    assert_eq!((contents(&mut buffer), buffer.accepted()), (vec![1], 1));
}

#[test]
fn c2_what_is_more_than_a_push_is_left_to_the_offer() {
    let mut closed = built(bounded(9, Strategy::block()));
    closed.close();
    let mut lent = filled(1, Strategy::block());
    assert_eq!(lent.lend(&mut VecDeque::new(), 1), 1);
    let sampled = built(bounded(9, Strategy::sample()));
    let weighed = built(bounded(9, Strategy::block()).max_weight(5));
    let ranked = built(bounded(9, Strategy::DropLowest)).prioritized();
    for mut buffer in [closed, lent, sampled, weighed, ranked] {
        let before = (buffer.len(), buffer.accepted());
        assert_eq!(buffer.push(9), Err(9), "{buffer:?}");
        assert_eq!((buffer.len(), buffer.accepted()), before, "{buffer:?}");
    }
}

#[test]
fn d6_the_room_is_what_is_not_held() {
    let mut buffer = built(bounded(3, Strategy::block()));
    assert!(buffer.offer(0, Tag::default()).is_accepted() && buffer.try_reserve(1));
    assert_eq!(buffer.room(), 1);
    assert_eq!(buffer.lend(&mut VecDeque::new(), 1), 1);
    assert_eq!(buffer.room(), 1, "what is lent is held");
    assert_eq!(built(bounded(usize::MAX, Strategy::block())).room(), usize::MAX);
}

#[test]
fn o1_what_is_lent_is_in_order_whether_it_goes_at_once_or_one_by_one() {
    let mut buffer = filled(9, Strategy::block());
    let mut lease = VecDeque::new();
    assert_eq!((buffer.lend(&mut lease, 4), buffer.lent(), buffer.len()), (4, 4, 5));
    assert_eq!((buffer.lend(&mut lease, 9), buffer.lent(), buffer.len()), (5, 9, 0));
    assert!(lease.drain(..).eq(0..9));
    assert!(buffer.settle_lent(9));
    assert!((9..12).all(|n| buffer.push(n).is_ok()));
    assert_eq!((buffer.lend(&mut lease, 3), buffer.lent(), buffer.held()), (3, 3, 3));
    assert!(lease.drain(..).eq(9..12));
    assert!(buffer.settle_lent(12) && buffer.push(12).is_ok());
    assert_eq!(buffer.pop(), Some(12));
}

#[test]
fn d5_few_are_lent_where_each_has_to_be_moved() {
    let mut buffer = filled(2_000, Strategy::block());
    let mut lease = VecDeque::new();
    let lent = buffer.lend(&mut lease, 1_999);
    assert!(lent < 200 && lease.len() == lent, "{lent}");
    lease.clear();
    assert_eq!(buffer.lend(&mut lease, usize::MAX), 2_000 - lent);
}
