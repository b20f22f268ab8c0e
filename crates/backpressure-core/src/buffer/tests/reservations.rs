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
