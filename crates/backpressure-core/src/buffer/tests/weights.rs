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
