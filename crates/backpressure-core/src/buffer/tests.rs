use super::*;
use crate::config::BackpressureConfigBuilder;

const LOSSLESS: [Strategy; 2] = [Strategy::block(), Strategy::Reject];
const LOSSY: [Strategy; 4] =
    [Strategy::DropOldest, Strategy::DropNewest, Strategy::Sample { one_in: 10 }, Strategy::DropLowest];

fn all() -> impl Iterator<Item = Strategy> {
    LOSSLESS.into_iter().chain(LOSSY)
}

fn bounded(capacity: usize, strategy: Strategy) -> BackpressureConfigBuilder {
    BackpressureConfig::builder().capacity(capacity).strategy(strategy)
}

fn built(builder: BackpressureConfigBuilder) -> BoundedBuffer<u32> {
    BoundedBuffer::new(&builder.build().unwrap())
}

/// A buffer of `capacity` items that holds 0, 1, 2, … and is full.
fn filled(capacity: u32, strategy: Strategy) -> BoundedBuffer<u32> {
    let mut buffer = built(bounded(capacity as usize, strategy));
    for item in 0..capacity {
        // `Sample` thins out from the low watermark on: reservations enter whatever the pressure.
        assert!(buffer.try_reserve(1));
        assert_eq!(buffer.fill(item, Tag::default(), 1), Offer::Accepted);
    }
    buffer
}

fn weighing(weight: usize) -> Tag {
    Tag { weight, ..Tag::default() }
}

fn ranked(level: u8) -> Tag {
    Tag { priority: Priority::new(level), ..Tag::default() }
}

fn contents(buffer: &mut BoundedBuffer<u32>) -> Vec<u32> {
    std::iter::from_fn(|| buffer.pop()).collect()
}

fn evicted(offer: Offer<u32>) -> Vec<u32> {
    match offer {
        Offer::AcceptedEvicting(evicted) => evicted.into_iter().collect(),
        other => panic!("{other:?} evicts nothing"),
    }
}

mod strategies {
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
}

mod weights {
    use super::*;

    fn weighed(max_weight: usize, strategy: Strategy) -> BoundedBuffer<u32> {
        built(bounded(100, strategy).max_weight(max_weight))
    }

    #[test]
    fn d3_the_weight_bound_holds_beside_the_item_bound() {
        let mut buffer = weighed(10, Strategy::Reject);
        assert_eq!(buffer.offer(0, weighing(6)), Offer::Accepted);
        assert_eq!(buffer.offer(1, weighing(5)), Offer::Full(1));
        assert_eq!(buffer.offer(2, weighing(4)), Offer::Accepted);
        assert_eq!(buffer.offer(3, weighing(0)), Offer::Accepted, "what weighs nothing needs only a slot");
        assert_eq!((buffer.weight(), buffer.state(State::Normal)), (10, State::Blocked));
        assert_eq!(buffer.pop(), Some(0));
        assert_eq!((buffer.weight(), buffer.state(State::Blocked)), (4, State::Normal));
    }

    #[test]
    fn a_buffer_without_a_weight_bound_ignores_weights() {
        let mut buffer = built(bounded(2, Strategy::Reject));
        assert_eq!(buffer.offer(0, weighing(usize::MAX)), Offer::Accepted);
        assert_eq!(buffer.offer(1, weighing(usize::MAX)), Offer::Accepted);
        assert_eq!((buffer.weight(), buffer.held_weight()), (0, 0));
        assert!(buffer.admits(usize::MAX));
        let mut out = Vec::new();
        assert_eq!(buffer.pop_many(&mut out, 9, 0), 2);
    }

    #[test]
    fn drop_oldest_evicts_as_many_as_a_heavy_item_needs() {
        let mut buffer = weighed(10, Strategy::DropOldest);
        for (item, weight) in [(0, 3), (1, 3), (2, 4)] {
            assert_eq!(buffer.offer(item, weighing(weight)), Offer::Accepted);
        }
        assert_eq!(evicted(buffer.offer(3, weighing(5))), [0, 1]);
        assert_eq!((buffer.weight(), buffer.oldest()), (9, 2));
        assert_eq!(contents(&mut buffer), [2, 3]);
    }

    #[test]
    fn an_oversize_item_is_admitted_alone() {
        for strategy in all() {
            let mut buffer = weighed(10, strategy);
            assert!(buffer.admits(11));
            assert_eq!(buffer.offer(0, weighing(11)), Offer::Accepted, "{strategy}");
            assert_eq!((buffer.held_weight(), buffer.state(State::Normal)), (11, State::Blocked));
            assert!(!buffer.try_reserve(0), "{strategy}: nothing enters beside it");
            buffer.pop();
            assert_eq!((buffer.held_weight(), buffer.state(State::Blocked)), (0, State::Normal));
        }
    }

    #[test]
    fn an_oversize_item_does_not_empty_the_buffer_for_itself() {
        for strategy in all() {
            let mut buffer = weighed(10, strategy);
            assert_eq!(buffer.offer(0, weighing(1)), Offer::Accepted);
            let answer = buffer.offer(1, weighing(11));
            if strategy.is_lossy() {
                assert_eq!(answer, Offer::Dropped(1, DropReason::Overflow), "{strategy}");
            } else {
                assert_eq!(answer, Offer::Full(1), "{strategy}");
            }
            assert_eq!(contents(&mut buffer), [0], "{strategy}");
        }
    }

    #[test]
    fn an_oversize_item_is_refused_where_the_rule_says_so() {
        for strategy in all() {
            let mut buffer = built(bounded(100, strategy).max_weight(10).oversize(Oversize::Refuse));
            assert!(buffer.admits(10) && !buffer.admits(11));
            assert!(!buffer.offer(0, weighing(11)).is_accepted(), "{strategy}");
            assert!(!buffer.try_reserve(11), "{strategy}");
            assert_eq!(buffer.offer(1, weighing(10)), Offer::Accepted, "{strategy}");
        }
    }

    #[test]
    fn d3_d6_weights_that_overflow_do_not_pass_for_lighter_ones() {
        let mut buffer = weighed(usize::MAX, Strategy::Reject);
        assert_eq!(buffer.offer(0, weighing(usize::MAX - 1)), Offer::Accepted);
        assert_eq!(buffer.offer(1, weighing(2)), Offer::Full(1), "together they weigh more than the bound");
        assert!(!buffer.try_reserve(2));
        assert_eq!(buffer.offer(2, weighing(1)), Offer::Accepted);
        buffer.pop();
        assert_eq!(buffer.weight(), 1);
    }

    #[test]
    fn d6_a_weight_that_overflows_evicts_only_what_makes_room() {
        for prioritized in [false, true] {
            let buffer = weighed(usize::MAX, Strategy::DropOldest);
            let mut buffer = if prioritized { buffer.prioritized() } else { buffer };
            assert_eq!(buffer.offer(0, weighing(usize::MAX)), Offer::Accepted);
            assert_eq!(evicted(buffer.offer(1, weighing(usize::MAX))), [0]);
            assert!(buffer.try_reserve(0));
            assert_eq!(buffer.weight(), usize::MAX);
        }
    }

    #[test]
    fn pop_many_stops_at_the_weight_but_always_takes_one() {
        for prioritized in [false, true] {
            let buffer = weighed(100, Strategy::Reject);
            let mut buffer = if prioritized { buffer.prioritized() } else { buffer };
            for (item, weight) in [(0, 4), (1, 4), (2, 4), (3, 50), (4, 0), (5, 1)] {
                assert_eq!(buffer.offer(item, weighing(weight)), Offer::Accepted);
            }
            let mut out = Vec::new();
            assert_eq!(buffer.pop_many(&mut out, 0, 100), 0);
            assert_eq!(buffer.pop_many(&mut out, 9, 10), 2, "a third would weigh 12");
            assert_eq!(buffer.pop_many(&mut out, 9, 10), 1, "the next alone weighs 50");
            assert_eq!(buffer.pop_many(&mut out, 9, 10), 1, "it goes alone");
            assert_eq!(buffer.pop_many(&mut out, 1, 10), 1, "one was asked for");
            assert_eq!(buffer.weight(), 1);
            assert_eq!(buffer.pop_many(&mut out, usize::MAX, usize::MAX), 1);
            assert_eq!((out, buffer.weight(), buffer.is_empty()), (vec![0, 1, 2, 3, 4, 5], 0, true));
        }
    }
}

mod reservations {
    use super::*;

    #[test]
    fn d4_a_reserved_slot_is_held_against_every_strategy() {
        for strategy in all() {
            let mut buffer = filled(3, strategy);
            buffer.pop();
            assert!(buffer.try_reserve(1));
            assert_eq!((buffer.len(), buffer.held()), (2, 3), "{strategy}");
            assert!(!buffer.try_reserve(1), "{strategy}: full");
            let _ = buffer.offer(8, Tag::default());
            assert_eq!(buffer.held(), 3, "{strategy}");
            assert_eq!(buffer.fill(9, Tag::default(), 1), Offer::Accepted, "{strategy}");
            assert_eq!((buffer.len(), buffer.held()), (3, 3), "{strategy}");
        }
    }

    #[test]
    fn d4_reservations_are_never_evicted() {
        for strategy in LOSSY {
            let mut buffer = built(bounded(2, strategy)).prioritized();
            assert!(buffer.try_reserve(1) && buffer.try_reserve(1));
            assert!(matches!(buffer.offer(0, ranked(7)), Offer::Dropped(0, _)), "{strategy}");
            buffer.release(1);
            assert!(buffer.try_reserve(1), "{strategy}: a slot given back can be had");
        }
    }

    #[test]
    fn d4_filling_with_something_heavier_may_find_it_full_and_uses_the_reservation_up() {
        let mut buffer = built(bounded(10, Strategy::block()).max_weight(10));
        assert_eq!(buffer.offer(0, weighing(6)), Offer::Accepted);
        assert!(buffer.try_reserve(4));
        assert_eq!(buffer.held_weight(), 10);
        assert_eq!(buffer.fill(1, weighing(5), 4), Offer::Full(1));
        assert_eq!((buffer.held(), buffer.held_weight()), (1, 6));
        assert!(buffer.try_reserve(4));
        assert_eq!(buffer.fill(2, weighing(1), 4), Offer::Accepted, "the rest of the weight is free again");
        assert_eq!(buffer.held_weight(), 7);
    }

    #[test]
    fn an_oversize_reservation_is_alone_until_it_is_filled_and_after() {
        let mut buffer = built(bounded(10, Strategy::block()).max_weight(10));
        assert!(buffer.try_reserve(50));
        assert!(!buffer.try_reserve(0));
        assert_eq!(buffer.offer(0, weighing(0)), Offer::Full(0));
        assert_eq!(buffer.fill(1, weighing(40), 50), Offer::Accepted);
        assert_eq!(buffer.held_weight(), 40);
    }

    #[test]
    fn t5_filling_after_close_hands_the_item_back_and_the_slot() {
        let mut buffer = built(bounded(2, Strategy::block()));
        assert!(buffer.try_reserve(1));
        buffer.close();
        assert_eq!(buffer.fill(0, Tag::default(), 1), Offer::Closed(0));
        assert_eq!(buffer.held(), 0);
    }

    #[test]
    fn giving_back_what_was_never_reserved_is_harmless() {
        let mut buffer = filled(2, Strategy::block());
        buffer.release(usize::MAX);
        assert_eq!((buffer.held(), buffer.held_weight()), (2, 0));
    }
}

mod priorities {
    use super::*;

    fn prioritized(capacity: usize, strategy: Strategy, levels: &[u8]) -> BoundedBuffer<u32> {
        let mut buffer = built(bounded(capacity, strategy)).prioritized();
        for (item, &level) in (0..).zip(levels) {
            assert_eq!(buffer.offer(item, ranked(level)), Offer::Accepted);
        }
        buffer
    }

    #[test]
    fn o3_the_most_important_first_and_first_in_first_out_among_equals() {
        let mut buffer = prioritized(9, Strategy::block(), &[3, 7, 0, 7, 3, 0]);
        assert_eq!(contents(&mut buffer), [1, 3, 0, 4, 2, 5]);
    }

    #[test]
    fn without_lanes_priorities_do_not_matter() {
        let mut buffer = built(bounded(3, Strategy::DropLowest));
        for (item, level) in [(0, 0), (1, 7), (2, 3)] {
            assert_eq!(buffer.offer(item, ranked(level)), Offer::Accepted);
        }
        assert_eq!(buffer.offer(3, ranked(7)), Offer::Dropped(3, DropReason::Overflow));
        assert_eq!(contents(&mut buffer), [0, 1, 2]);
    }

    #[test]
    fn o3_starvation_is_bounded_as_stated_and_the_bound_is_tight() {
        for older in 0..4 {
            let mut longest = 0;
            for phase in 0..16 {
                let mut buffer = built(bounded(64, Strategy::Reject)).prioritized();
                for _ in 0..phase {
                    assert_eq!(buffer.offer(1, ranked(7)), Offer::Accepted);
                    buffer.pop();
                }
                for _ in 0..older {
                    assert_eq!(buffer.offer(2, ranked(0)), Offer::Accepted);
                }
                assert_eq!(buffer.offer(3, ranked(0)), Offer::Accepted);
                let deliveries = 1 + std::iter::from_fn(|| {
                    assert_eq!(buffer.offer(1, ranked(7)), Offer::Accepted);
                    buffer.pop()
                })
                .take_while(|&item| item != 3)
                .count();
                longest = longest.max(deliveries);
            }
            assert_eq!(longest, 16 * (older + 1), "with {older} older ones");
        }
    }

    #[test]
    fn o3_taking_many_at_once_keeps_the_order_of_taking_one_by_one() {
        let levels: Vec<u8> = (0..60).map(|item| item % 8 * 5 % 8).collect();
        let one_by_one = contents(&mut prioritized(60, Strategy::block(), &levels));
        for chunk in [1, 7, 16, 60] {
            let mut buffer = prioritized(60, Strategy::block(), &levels);
            let mut out = Vec::new();
            while buffer.pop_many(&mut out, chunk, usize::MAX) > 0 {}
            assert_eq!(out, one_by_one, "in chunks of {chunk}");
        }
    }

    #[test]
    fn drop_lowest_evicts_the_newest_of_the_lowest_priority() {
        let mut buffer = prioritized(4, Strategy::DropLowest, &[1, 5, 1, 3]);
        assert_eq!(evicted(buffer.offer(4, ranked(7))), [2]);
        assert_eq!(evicted(buffer.offer(5, ranked(2))), [0]);
        assert_eq!(evicted(buffer.offer(6, ranked(3))), [5]);
        assert_eq!(contents(&mut buffer), [4, 1, 3, 6]);
    }

    #[test]
    fn drop_lowest_drops_the_incoming_one_when_it_would_be_last() {
        let mut buffer = prioritized(2, Strategy::DropLowest, &[3, 5]);
        assert_eq!(buffer.offer(2, ranked(3)), Offer::Dropped(2, DropReason::Overflow), "among equals the newest goes");
        assert_eq!(buffer.offer(3, ranked(0)), Offer::Dropped(3, DropReason::Overflow));
        assert_eq!(contents(&mut buffer), [1, 0]);
    }

    #[test]
    fn drop_lowest_evicts_nobody_unless_that_makes_the_room() {
        let mut buffer = built(bounded(9, Strategy::DropLowest).max_weight(10)).prioritized();
        for (item, level, weight) in [(0, 7, 6), (1, 1, 2), (2, 2, 2)] {
            assert_eq!(buffer.offer(item, Tag { weight, ..ranked(level) }), Offer::Accepted);
        }
        assert_eq!(buffer.offer(3, Tag { weight: 5, ..ranked(7) }), Offer::Dropped(3, DropReason::Overflow));
        assert_eq!(evicted(buffer.offer(4, Tag { weight: 4, ..ranked(7) })), [1, 2], "least important first");
        assert_eq!((contents(&mut buffer), buffer.weight()), (vec![0, 4], 0));
    }

    #[test]
    fn drop_oldest_goes_by_age_whatever_the_priority() {
        let mut buffer = prioritized(3, Strategy::DropOldest, &[7, 0, 3]);
        assert_eq!(buffer.oldest(), 0);
        assert_eq!(evicted(buffer.offer(3, ranked(0))), [0]);
        assert_eq!(buffer.oldest(), 1);
        assert_eq!(contents(&mut buffer), [2, 1, 3]);
    }

    #[test]
    fn the_oldest_arrival_is_known_whatever_leaves_first() {
        let mut buffer = prioritized(4, Strategy::block(), &[0, 7, 7]);
        assert_eq!((buffer.pop(), buffer.oldest()), (Some(1), 0));
        assert_eq!((buffer.pop(), buffer.oldest()), (Some(2), 0));
        assert_eq!((buffer.pop(), buffer.oldest()), (Some(0), 3), "the next to arrive");
        assert_eq!((buffer.pop(), buffer.oldest()), (None, 3));
    }
}
