//! An offer to a full channel is answered without the lock, and all the same it is told the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{DropReason, Priority, State, Strategy};

use crate::support::{Losses, Task, balanced, built, config, drained, fill, ignore, open};

/// Those that make no room.
const TURN_AWAY: [Strategy; 3] = [Strategy::block_forever(), Strategy::Reject, Strategy::DropNewest];

const CAPACITY: u32 = 8;

#[track_caller]
fn is_turned_away(tx: &Sender<u32>) {
    let sent = tx.try_send(99);
    assert!(matches!(sent, Err(SendError::Full(99)) | Ok(Sent::Dropped(DropReason::Overflow))), "{sent:?}");
}

/// A way of freeing a slot.
type Free = fn(&mut Receiver<u32>) -> usize;

#[test]
fn c5_a_slot_that_was_given_back_is_there_for_the_next_offer() {
    const WAYS: [Free; 4] = [
        |rx| usize::from(rx.try_recv().is_some()),
        |rx| usize::from(Task::new(rx.recv()).finish().is_some()),
        |rx| rx.try_recv_many(&mut Vec::new(), 3, usize::MAX),
        |rx| rx.evacuate(DropReason::DrainDeadline).len(),
    ];
    for strategy in TURN_AWAY {
        for hysteresis in [0.0, 0.4] {
            for free in WAYS {
                let watermarks = config(CAPACITY as usize, strategy).hysteresis(hysteresis);
                let (tx, mut rx) = Builder::new(built(watermarks)).build();
                fill(&tx, 0..CAPACITY);
                for _ in 0..3 * CAPACITY {
                    is_turned_away(&tx);
                    let freed = free(&mut rx);
                    assert!(freed > 0, "{strategy}");
                    fill(&tx, (0..freed as u32).rev());
                }
                is_turned_away(&tx);
                assert_eq!(balanced(&rx.gauge()).queued, u64::from(CAPACITY));
            }
        }
    }
}

#[test]
fn c5_a_permit_or_a_place_that_is_given_up_makes_room_too() {
    let (tx, mut rx) = open(1, Strategy::block_forever());
    let permit = tx.try_reserve().expect("empty");
    is_turned_away(&tx);
    drop(permit);
    fill(&tx, [1]);
    is_turned_away(&tx);
    let waiting = Task::pending(tx.send(2));
    assert_eq!(rx.try_recv(), Some(1));
    is_turned_away(&tx);
    drop(waiting);
    fill(&tx, [3]);
    is_turned_away(&tx);
}

#[test]
fn t5_a_full_channel_that_is_closed_says_that_it_is_closed() {
    for strategy in TURN_AWAY {
        let (tx, mut rx) = open(2, strategy);
        fill(&tx, [1, 2]);
        is_turned_away(&tx);
        rx.close();
        assert_eq!(tx.try_send(3), Err(SendError::Closed(3)), "{strategy}");
        assert_eq!(drained(&mut rx), [1, 2]);
    }
}

#[test]
fn c3_c4_what_is_discarded_without_the_lock_goes_to_the_hook_that_may_come_back() {
    let losses = Losses::new();
    let (hook, again) = (losses.hook(), Arc::new(std::sync::OnceLock::<Sender<u32>>::new()));
    let tx = Arc::downgrade(&again);
    let (sender, _rx) = Builder::new(built(config(1, Strategy::DropNewest)))
        .on_drop(move |item, reason| {
            hook(item, reason);
            if item == 1 {
                let tx = tx.upgrade().expect("the sender is there");
                assert_eq!(tx.get().expect("was set").try_send(11), Ok(Sent::Dropped(reason)));
            }
        })
        .build();
    let tx = again.get_or_init(|| sender);
    fill(tx, [0]);
    assert_eq!(tx.try_send(1), Ok(Sent::Dropped(DropReason::Overflow)));
    assert_eq!(losses.take(), [(1, DropReason::Overflow), (11, DropReason::Overflow)]);
    let counts = balanced(&tx.gauge());
    assert_eq!((counts.received, counts.dropped(), counts.queued), (3, 2, 1));
}

#[test]
fn every_item_that_is_offered_is_weighed_and_ranked_once() {
    for strategy in TURN_AWAY {
        let shown = Arc::new(AtomicUsize::new(0));
        let show = || {
            let shown = Arc::clone(&shown);
            move |_: &u32| shown.fetch_add(1, Ordering::Relaxed)
        };
        let (weigh, rank) = (show(), show());
        let (tx, _rx) = Builder::new(built(config(1, strategy)))
            .weigh_by(move |item| weigh(item).min(1))
            .rank_by(move |item| Priority::new((rank(item) % 2) as u8))
            .build();
        fill(&tx, [0]);
        (0..4).for_each(|_| is_turned_away(&tx));
        ignore(Task::new(tx.send(5)).poll());
        assert_eq!(shown.load(Ordering::Relaxed), 2 * 6, "{strategy}");
    }
}

#[test]
fn h1_to_be_turned_away_changes_no_state_and_wakes_nobody() {
    for strategy in TURN_AWAY {
        let (tx, mut rx) = open(2, strategy);
        fill(&tx, [1, 2]);
        let gauge = tx.gauge();
        let watcher = Task::pending(gauge.changed());
        let transitions = gauge.snapshot().transitions;
        (0..100).for_each(|_| is_turned_away(&tx));
        assert_eq!((gauge.state(), gauge.snapshot().transitions), (State::Blocked, transitions));
        assert!(!watcher.is_woken());
        assert_eq!(drained(&mut rx), [1, 2]);
        assert!(watcher.is_woken());
    }
}
