use super::*;

fn config(capacity: usize, strategy: Strategy) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(capacity).batch_items(1).strategy(strategy).build().unwrap()
}

fn filled(capacity: usize, strategy: Strategy) -> BoundedBuffer<usize> {
    let mut buffer = BoundedBuffer::new(&config(capacity, strategy));
    (0..capacity).for_each(|n| assert!(buffer.offer(n, Tag::default()).is_accepted()));
    buffer
}

#[test]
fn r2_a_smaller_buffer_keeps_what_it_holds_and_admits_nothing_until_it_fits() {
    let mut buffer = filled(4, Strategy::block());
    buffer.reconfigure(&config(2, Strategy::block())).unwrap();
    for left in [3, 2] {
        assert_eq!((buffer.state(State::Normal), buffer.room()), (State::Blocked, 0));
        assert_eq!(buffer.offer(9, Tag::default()), Offer::Full(9));
        assert_eq!(buffer.pop(), Some(3 - left));
        assert_eq!(buffer.len(), left);
    }
    assert_eq!(buffer.offer(9, Tag::default()), Offer::Full(9), "just full");
    buffer.pop();
    assert_eq!(buffer.offer(9, Tag::default()), Offer::Accepted);
}

#[test]
fn r2_the_next_offer_that_evicts_obeys_the_smaller_bound() {
    let mut buffer = filled(4, Strategy::DropOldest);
    buffer.reconfigure(&config(2, Strategy::DropOldest)).unwrap();
    assert_eq!(buffer.len(), 4, "nothing leaves by itself");
    assert!(!buffer.exchange(&mut 8), "one for one is not enough");
    let Offer::AcceptedEvicting(evicted) = buffer.offer(9, Tag::default()) else { panic!("it evicts") };
    assert_eq!((evicted.into_iter().collect(), buffer.len()), (vec![0, 1, 2], 2));
}

#[test]
fn r4_a_reservation_is_good_for_its_item_in_a_buffer_that_became_smaller() {
    let mut buffer = filled(1, Strategy::block());
    buffer.reconfigure(&config(3, Strategy::block())).unwrap();
    assert!(buffer.try_reserve(1) && buffer.try_reserve(1));
    buffer.reconfigure(&config(1, Strategy::DropOldest)).unwrap();
    assert_eq!(buffer.fill(1, Tag::default(), 1), Offer::Accepted);
    assert_eq!(buffer.offer(2, Tag::default()), Offer::Dropped(2, DropReason::Overflow), "the other slot is reserved");
    buffer.release(1);
    assert!(matches!(buffer.offer(2, Tag::default()), Offer::AcceptedEvicting(_)));
}

#[test]
fn r4_items_that_are_lent_are_not_evicted_by_another_strategy() {
    let mut buffer = filled(2, Strategy::block());
    let mut lease = std::collections::VecDeque::new();
    assert_eq!(buffer.lend(&mut lease, 2), 2);
    buffer.reconfigure(&config(2, Strategy::DropOldest)).unwrap();
    assert!(!buffer.exchange(&mut 7));
    assert_eq!(buffer.offer(8, Tag::default()), Offer::Dropped(8, DropReason::Overflow));
    buffer.settle_lent(1);
    assert_eq!(buffer.offer(9, Tag::default()), Offer::Accepted);
    let Offer::AcceptedEvicting(evicted) = buffer.offer(10, Tag::default()) else { panic!("it evicts") };
    assert_eq!((evicted.into_iter().collect(), buffer.held()), (vec![9], 2));
}

#[test]
fn r1_whether_items_are_weighed_cannot_change() {
    let weighed = BackpressureConfig::builder().capacity(5).max_weight(7).batch_items(1).build().unwrap();
    let mut plain = filled(2, Strategy::block());
    let refusal = plain.reconfigure(&weighed).unwrap_err().to_string();
    assert_eq!(refusal, "max_weight is 7, but must be unset, as it was when the part was built");
    assert_eq!(plain.offer(9, Tag::default()), Offer::Full(9), "nothing has changed");
    let refusal = BoundedBuffer::<u8>::new(&weighed).reconfigure(&config(9, Strategy::block())).unwrap_err();
    assert_eq!(refusal.to_string(), "max_weight is unset, but must be set, as it was when the part was built");
}
