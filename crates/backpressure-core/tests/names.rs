//! Strategies, priorities and answers: small words that others build on.

use backpressure_core::{BackpressureConfig, BoundedBuffer, DropReason, Offer, Oversize, Priority, Strategy, Tag};

#[test]
fn strategies_know_their_names_and_what_they_lose() {
    for (strategy, name, lossy) in [
        (Strategy::default(), "block", false),
        (Strategy::block_forever(), "block", false),
        (Strategy::DropOldest, "drop-oldest", true),
        (Strategy::DropNewest, "drop-newest", true),
        (Strategy::sample(), "sample", true),
        (Strategy::Reject, "reject", false),
        (Strategy::DropLowest, "drop-lowest", true),
    ] {
        assert_eq!((strategy.to_string().as_str(), strategy.is_lossy()), (name, lossy));
    }
}

#[test]
fn drop_reasons_are_numbered_as_listed_and_named_in_snake_case() {
    for (number, reason) in DropReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, number);
        let name: String = format!("{reason:?}").chars().fold(String::new(), |mut name, c| {
            if c.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(c.to_lowercase());
            name
        });
        assert_eq!(reason.to_string(), name);
    }
}

#[test]
fn d6_priorities_stop_at_the_highest() {
    assert_eq!(Priority::new(u8::MAX), Priority::HIGHEST);
    assert_eq!(Priority::new(0), Priority::LOWEST);
    assert_eq!(Priority::new(3), Priority::default());
    assert_eq!(usize::from(Priority::HIGHEST.as_u8()) + 1, Priority::COUNT);
    assert!(Priority::LOWEST < Priority::NORMAL && Priority::NORMAL < Priority::HIGHEST);
}

#[test]
fn only_what_is_in_the_buffer_counts_as_accepted() {
    let config = BackpressureConfig::builder().capacity(1).strategy(Strategy::DropOldest).build().unwrap();
    let mut buffer = BoundedBuffer::new(&config);
    assert!(buffer.offer(1, Tag::default()).is_accepted());
    let evicting = buffer.offer(2, Tag::default());
    assert!(evicting.is_accepted());
    assert!(matches!(evicting, Offer::AcceptedEvicting(evicted) if evicted.count() == 1));
    for refused in [Offer::Dropped(3, DropReason::Sampled), Offer::Full(3), Offer::Closed(3)] {
        assert!(!refused.is_accepted());
    }
    assert_eq!((buffer.strategy(), Oversize::default()), (Strategy::DropOldest, Oversize::AdmitAlone));
}
