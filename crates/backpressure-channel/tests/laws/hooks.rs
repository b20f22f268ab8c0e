//! C3 and C4: the drop hook gets each lost item once; hooks and destructors run outside every lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use backpressure_channel::{Builder, Demand, Receiver, Sender, Sent};
use backpressure_core::{DropReason, Priority, Strategy};

use crate::support::{
    Losses, STRATEGIES, SinkPolls, Task, Wakes, balanced, built, config, drained, fill, finishes, ignore, now, open,
};

fn panics(call: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[test]
fn c3_the_hook_gets_each_lost_item_with_its_reason_and_no_other() {
    let losses = Losses::new();
    let losing = |strategy| Builder::new(built(config(2, strategy))).on_drop(losses.hook()).build();

    let (tx, _rx) = losing(Strategy::DropNewest);
    (1..=3).for_each(|n| ignore(tx.try_send(n)));
    assert_eq!(losses.take(), [(3, DropReason::Overflow)]);

    let (tx, _rx) = losing(Strategy::DropOldest);
    (1..=3).for_each(|n| ignore(now(tx.send(n))));
    assert_eq!(losses.take(), [(1, DropReason::Evicted)]);

    let (tx, rx) = losing(Strategy::Sample { one_in: 2 });
    (1..=4).for_each(|n| ignore(tx.try_send(n)));
    assert_eq!(losses.take(), [(3, DropReason::Sampled), (4, DropReason::Overflow)]);
    drop(rx);
    assert_eq!(losses.take(), [(1, DropReason::Closed), (2, DropReason::Closed)]);

    let (tx, mut rx) = losing(Strategy::Reject);
    (1..=3).for_each(|n| ignore(tx.try_send(n)));
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!(rx.evacuate(DropReason::DrainDeadline), [2]);
    drop((tx, rx));
    assert_eq!(losses.take(), [], "handed back, received, or taken out: none of them is lost on anybody");
}

#[test]
fn c3_all_that_a_heavy_item_evicts_goes_to_the_hook() {
    let losses = Losses::new();
    let config = built(config(10, Strategy::DropOldest).max_weight(10));
    let (tx, mut rx) = Builder::new(config).weigh_by(|&weight| weight).on_drop(losses.hook()).build();
    fill(&tx, [1, 2, 3, 4]);
    let sent = tx.try_send(6);
    assert!(matches!(sent, Ok(Sent::Evicting(count)) if count.get() == 3), "{sent:?}");
    assert_eq!(losses.take(), [1, 2, 3].map(|weight| (weight, DropReason::Evicted)));
    assert_eq!(drained(&mut rx), [4, 6]);
}

#[test]
fn c4_the_hook_may_use_both_ends_of_the_channel() {
    finishes(|| {
        type Ends = (Sender<u32>, Mutex<Receiver<u32>>);
        let ends = Arc::new(OnceLock::<Ends>::new());
        let seen = Losses::new();
        let config = built(config(2, Strategy::DropOldest));
        let (tx, rx) = Builder::new(config)
            .on_drop({
                let (ends, seen) = (Arc::downgrade(&ends), seen.clone());
                move |item, reason| {
                    seen.push(item, reason);
                    let Some(ends) = ends.upgrade() else { return };
                    let Some((tx, rx)) = ends.get() else { return };
                    let received = rx.lock().expect("not poisoned").try_recv();
                    assert_eq!(received, Some(2));
                    assert_eq!(tx.try_send(10), Ok(Sent::Accepted));
                    assert!(balanced(&tx.gauge()).evicted() >= 1);
                }
            })
            .build();
        assert!(ends.set((tx.clone(), Mutex::new(rx))).is_ok());
        for n in [1, 2, 3] {
            assert!(tx.try_send(n).is_ok_and(Sent::is_accepted));
        }
        assert_eq!(seen.take(), [(1, DropReason::Evicted)]);
        let rx = &ends.get().expect("was set").1;
        assert_eq!(drained(&mut rx.lock().expect("not poisoned")), [3, 10]);
    });
}

#[test]
fn c4_no_lock_is_held_whatever_an_item_is_lost_for() {
    finishes(|| {
        let losses = Losses::new();
        for strategy in STRATEGIES {
            let tx = Arc::new(OnceLock::<Sender<usize>>::new());
            let (sender, losses) = (Arc::downgrade(&tx), losses.clone());
            let (mut sink, rx) = Builder::new(built(config(4, strategy).max_weight(4)))
                .weigh_by(|&weight| weight)
                .on_drop(move |_, reason| {
                    let closed = sender.upgrade().and_then(|tx| tx.get().map(Sender::is_closed));
                    losses.push(closed, reason);
                })
                .build();
            let _ = tx.set(sink.clone());
            for weight in [1, 2, 1, 1, 3] {
                if sink.ready(&Wakes::default()).is_ready() {
                    let _ = sink.start(weight);
                }
            }
            drop((sink, rx));
        }
        let losses = losses.take();
        assert!(losses.iter().all(|(closed, _)| closed.is_some()), "{losses:?}");
        for reason in [DropReason::Overflow, DropReason::Evicted, DropReason::Sampled, DropReason::Closed] {
            assert!(losses.iter().any(|loss| loss.1 == reason), "{reason}");
        }
    });
}

#[test]
fn c4_the_hook_may_lose_an_item_in_turn() {
    finishes(|| {
        let tx = Arc::new(OnceLock::<Sender<u32>>::new());
        let seen = Losses::new();
        let hook = {
            let (tx, seen) = (Arc::downgrade(&tx), seen.clone());
            move |item, reason| {
                seen.push(item, reason);
                if item < 3
                    && let Some(tx) = tx.upgrade().as_deref().and_then(OnceLock::get)
                {
                    assert!(tx.try_send(item + 100).is_ok_and(Sent::is_accepted));
                }
            }
        };
        let (sender, mut rx) = Builder::new(built(config(1, Strategy::DropOldest))).on_drop(hook).build();
        let sender = tx.get_or_init(|| sender);
        for n in [1, 2] {
            assert!(sender.try_send(n).is_ok_and(Sent::is_accepted));
        }
        assert_eq!(seen.take(), [1, 2, 101].map(|n| (n, DropReason::Evicted)), "101 pushed 2 out, 102 pushed 101 out");
        assert_eq!(drained(&mut rx), [102]);
    });
}

#[test]
fn c4_a_panicking_hook_costs_nobody_else_anything() {
    let seen = Losses::new();
    let config = built(config(10, Strategy::DropOldest).max_weight(10));
    let (tx, mut rx) = Builder::new(config)
        .weigh_by(|&weight: &usize| weight)
        .on_drop({
            let seen = seen.clone();
            move |item, reason| {
                seen.push(item, reason);
                assert_ne!(item, 2, "a hook that cannot bear a two");
            }
        })
        .build();
    let wakes = Wakes::default();
    fill(&tx, [1, 2, 3, 4]);
    assert!(panics(|| ignore(tx.try_send(8))), "the panic goes to whoever caused the loss");
    let evicted = [1, 2, 3, 4].map(|weight| (weight, DropReason::Evicted));
    assert_eq!(seen.take(), evicted, "those after the two had their turn as well");
    assert_eq!(drained(&mut rx), [8], "the item is in");
    let counts = balanced(&tx.gauge());
    assert_eq!((counts.evicted(), counts.delivered), (4, 1));

    assert!(wakes.run(|cx| rx.poll_recv(cx)).is_pending());
    assert_eq!(tx.try_send(2), Ok(Sent::Accepted), "the channel is none the worse");
    assert_eq!(wakes.count(), 1);
    assert_eq!(tx.try_send(5), Ok(Sent::Accepted));
    assert!(panics(|| drop(rx)));
    assert_eq!(seen.take(), [2, 5].map(|weight| (weight, DropReason::Closed)));
    assert!(tx.is_closed());
    assert_eq!(balanced(&tx.gauge()).lost(DropReason::Closed), 2);
}

#[test]
fn c4_a_panicking_hook_keeps_no_wake_from_the_receiver() {
    let config = built(config(9, Strategy::DropOldest).max_weight(10));
    let (tx, mut rx) = Builder::new(config).weigh_by(|&weight| weight).on_drop(|_, _| panic!("always")).build();
    fill(&tx, [4]);
    let wakes = Wakes::default();
    assert!(wakes.run(|cx| rx.poll_demand(cx, Demand { items: 9, weight: 8 })).is_pending());
    assert!(panics(|| ignore(tx.try_send(8))));
    assert_eq!((wakes.count(), now(rx.recv())), (1, Some(8)));
}

#[test]
fn c4_a_hook_that_panics_for_the_last_sender_does_not_keep_the_channel_open() {
    let config = built(config(10, Strategy::block_forever()).max_weight(10));
    let (mut tx, mut rx) = Builder::new(config).weigh_by(|&weight| weight).on_drop(|_, _| panic!("always")).build();
    let wakes = Wakes::default();
    for weight in [6, 7] {
        assert!(tx.ready(&wakes).is_ready());
        assert_eq!(tx.start(weight), Ok(()));
    }
    let mut stuck = Vec::new();
    assert_eq!(now(rx.recv_many(&mut stuck, 1)), 1);
    let mut receiver = Task::pending(rx.recv());
    assert!(panics(|| drop(tx)), "the seven that stayed outside is lost");
    assert!(receiver.is_woken());
    assert_eq!(receiver.poll(), std::task::Poll::Ready(None));
    drop(receiver);
    assert_eq!(balanced(&rx.gauge()).lost(DropReason::Closed), 1);
}

#[test]
fn c4_a_hook_that_panics_while_another_panic_unwinds_does_not_abort() {
    let (tx, rx) = Builder::new(built(config(2, Strategy::Reject))).on_drop(|_, _| panic!("second")).build();
    fill(&tx, [1, 2]);
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _rx = rx;
        panic!("first");
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"first"));
    assert!(tx.is_closed());
}

#[test]
fn c4_weighing_and_ranking_happen_once_an_offer_and_may_use_the_channel() {
    finishes(|| {
        let tx = Arc::new(OnceLock::<Sender<u32>>::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let touch = {
            let (tx, calls) = (Arc::downgrade(&tx), Arc::clone(&calls));
            move || {
                calls.fetch_add(1, Ordering::Relaxed);
                tx.upgrade()
                    .as_deref()
                    .and_then(OnceLock::get)
                    .map(|tx| balanced(&tx.gauge()).received + u64::from(tx.is_closed()))
            }
        };
        let weigh = touch.clone();
        let (sender, mut rx) = Builder::new(built(config(1, Strategy::block_forever()).max_weight(10)))
            .weigh_by(move |_| weigh().map_or(1, |_| 2))
            .rank_by(move |_| touch().map_or(Priority::LOWEST, |_| Priority::NORMAL))
            .build();
        let sender = tx.get_or_init(|| sender);
        assert_eq!(sender.try_send(1), Ok(Sent::Accepted));
        let mut blocked = Task::pending(sender.send(2));
        assert!(blocked.poll().is_pending());
        assert_eq!(rx.try_recv(), Some(1));
        assert!(blocked.poll().is_ready());
        assert_eq!(calls.load(Ordering::Relaxed), 4, "weighed and ranked once, however often it was polled");
        assert_eq!(rx.backlog().weight, 2);
    });
}

#[test]
fn c4_a_weigher_that_panics_leaves_no_trace() {
    let config = built(config(1, Strategy::block_forever()).max_weight(10));
    let (tx, mut rx) =
        Builder::new(config).weigh_by(|&weight: &usize| if weight == 13 { panic!("13") } else { weight }).build();
    let permit = tx.try_reserve().expect("empty");
    assert!(panics(|| ignore(permit.send(13))));
    let mut sink = tx.clone();
    assert!(sink.ready(&Wakes::default()).is_ready(), "the permit's slot is free again");
    assert!(panics(|| ignore(sink.start(13))));
    assert_eq!(sink.start(9), Ok(()), "the sink's slot is still there");
    assert!(panics(|| ignore(tx.try_send(13))));
    assert_eq!(drained(&mut rx), [9]);
    assert_eq!(balanced(&tx.gauge()).received, 1);
}

/// Sends another one when it is dropped.
struct Hydra(Option<Arc<OnceLock<Sender<Hydra>>>>);

impl Drop for Hydra {
    fn drop(&mut self) {
        if let Some(tx) = self.0.take().as_deref().and_then(OnceLock::get) {
            let _ = tx.try_send(Hydra(None));
        }
    }
}

#[test]
fn c4_destructors_of_lost_items_may_use_the_channel() {
    finishes(|| {
        let tx = Arc::new(OnceLock::new());
        let (sender, mut rx) = open(2, Strategy::DropOldest);
        let sender: &Sender<Hydra> = tx.get_or_init(|| sender);
        for _ in 0..3 {
            assert!(sender.try_send(Hydra(Some(Arc::clone(&tx)))).is_ok_and(Sent::is_accepted));
        }
        assert_eq!(
            balanced(&sender.gauge()).received,
            6,
            "each head that is cut off grows back, and cuts off the next"
        );
        drop(rx.try_recv());
        drop(rx);
        assert_eq!(balanced(&sender.gauge()).queued, 0);
    });
}
