use super::*;

fn prioritized(capacity: usize, strategy: Strategy, priorities: &[u8]) -> BoundedBuffer<u32> {
    let mut buffer = built(bounded(capacity, strategy)).prioritized();
    for (item, &priority) in (0..).zip(priorities) {
        assert_eq!(buffer.offer(item, ranked(priority)), Offer::Accepted);
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
    for (item, priority) in [(0, 0), (1, 7), (2, 3)] {
        assert_eq!(buffer.offer(item, ranked(priority)), Offer::Accepted);
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
            .take(1_000)
            .take_while(|&item| item != 3)
            .count();
            longest = longest.max(deliveries);
        }
        assert_eq!(longest, 16 * (older + 1), "with {older} older ones");
    }
}

#[test]
fn o3_taking_many_at_once_keeps_the_order_of_taking_one_by_one() {
    let priorities: Vec<u8> = (0..60).map(|item| item % 8 * 5 % 8).collect();
    let one_by_one = contents(&mut prioritized(60, Strategy::block(), &priorities));
    for chunk in [1, 7, 16, 60] {
        let mut buffer = prioritized(60, Strategy::block(), &priorities);
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
    for (item, priority, weight) in [(0, 7, 6), (1, 1, 2), (2, 2, 2)] {
        assert_eq!(buffer.offer(item, Tag { weight, ..ranked(priority) }), Offer::Accepted);
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
