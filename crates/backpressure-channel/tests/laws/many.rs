//! Sending many items at once is sending them one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent, SentMany};
use backpressure_core::{Counts, DropReason, Oversize, Priority, Strategy};
use proptest::prelude::*;

use crate::support::{Losses, STRATEGIES, Task, balanced, blocking, built, config, drained, fill, ignore, now, open};

fn accepted(answer: Result<SentMany, SendError<()>>) -> usize {
    let sent = answer.expect("all were sent");
    assert_eq!((sent.evicted, sent.dropped), (0, 0));
    sent.accepted
}

/// An item is a name, a weight and a rank.
type Item = (u32, usize, u8);

struct Channel {
    tx: Sender<Item>,
    rx: Receiver<Item>,
    losses: Losses<Item>,
}

impl Channel {
    fn new(strategy: Strategy, capacity: usize, max_weight: Option<usize>, ranked: bool) -> Self {
        let limits = config(capacity, strategy).oversize(Oversize::AdmitAlone);
        let limits = max_weight.map_or(limits.clone(), |max| limits.max_weight(max));
        let losses = Losses::new();
        let builder = Builder::new(built(limits)).weigh_by(|item: &Item| item.1).on_drop(losses.hook());
        let builder = if ranked { builder.rank_by(|item| Priority::new(item.2)) } else { builder };
        let (tx, rx) = builder.build();
        Self { tx, rx, losses }
    }

    fn lost(&self) -> Vec<(Item, DropReason)> {
        let mut lost = self.losses.take();
        lost.sort_unstable();
        lost
    }

    fn counts(&self) -> Counts {
        balanced(&self.tx.gauge())
    }
}

/// One by one, until one is refused: that one and the rest come back, and the channel counts one of them.
fn one_by_one(tx: &Sender<Item>, items: &mut Vec<Item>) -> (SentMany, Option<SendError<()>>) {
    let mut sent = SentMany::default();
    while !items.is_empty() {
        match tx.try_send(items[0]) {
            Ok(Sent::Accepted) => sent.accepted += 1,
            Ok(Sent::Evicting(evicted)) => {
                sent.accepted += 1;
                sent.evicted += evicted.get();
            }
            Ok(_) => sent.dropped += 1,
            Err(SendError::Closed(_)) => return (sent, Some(SendError::Closed(()))),
            Err(_) => return (sent, Some(SendError::Full(()))),
        }
        items.remove(0);
    }
    (sent, None)
}

proptest! {
    #[test]
    fn c1_c2_d3_a_run_fares_like_its_items_one_by_one(
        strategy in prop::sample::select(STRATEGIES.to_vec()),
        capacity in 1_usize..8,
        max_weight in prop::option::of(1_usize..12),
        ranked in any::<bool>(),
        steps in prop::collection::vec((0_usize..12, 0_usize..6, any::<bool>()), 1..12),
        loads in prop::collection::vec((0_usize..5, 0_u8..4), 1..20),
        closes in prop::option::of(0_usize..12),
    ) {
        let new = || Channel::new(strategy, capacity, max_weight, ranked);
        let ([mut single, mut many], mut handed_back) = ([new(), new()], 0);
        let mut items = (0..).zip(loads.into_iter().cycle()).map(|(name, (weight, rank))| (name, weight, rank));
        for (step, (run, receive, at_once)) in steps.into_iter().enumerate() {
            if closes == Some(step) {
                single.rx.close();
                many.rx.close();
            }
            let run: Vec<_> = items.by_ref().take(run).collect();
            let (mut left, mut rest) = (run.clone(), run.clone());
            let (sent, error) = one_by_one(&single.tx, &mut left);
            handed_back += (left.len() as u64).saturating_sub(1);
            let answer = if at_once || matches!(strategy, Strategy::Block { .. }) {
                many.tx.try_send_many(&mut rest)
            } else {
                now(many.tx.send_many(&mut rest))
            };
            prop_assert_eq!(answer, error.map_or(Ok(sent), Err));
            prop_assert_eq!(rest, left);
            prop_assert_eq!(many.lost(), single.lost());
            let (a, b) = (many.counts(), single.counts());
            prop_assert_eq!((a.received, a.rejected), (b.received + handed_back, b.rejected + handed_back));
            prop_assert_eq!((a.queued, a.dropped(), a.evicted()), (b.queued, b.dropped(), b.evicted()));
            prop_assert_eq!(many.tx.gauge().state(), single.tx.gauge().state());
            prop_assert_eq!(many.rx.backlog(), single.rx.backlog());
            for _ in 0..receive {
                prop_assert_eq!(many.rx.try_recv(), single.rx.try_recv());
            }
        }
        prop_assert_eq!(drained(&mut many.rx), drained(&mut single.rx));
    }
}

#[test]
fn i1_a_run_longer_than_the_channel_passes_through_it_in_order() {
    let (tx, mut rx) = blocking(4);
    let mut items: Vec<_> = (0..50).collect();
    let mut received = Vec::new();
    let mut run = Task::new(tx.send_many(&mut items));
    let sent = loop {
        if let Poll::Ready(sent) = run.poll() {
            break sent;
        }
        assert_eq!(rx.backlog().items, 4);
        received.extend(drained(&mut rx));
        assert!(run.is_woken());
    };
    drop(run);
    assert_eq!((accepted(sent), items.len()), (50, 0));
    received.extend(drained(&mut rx));
    assert!(received.into_iter().eq(0..50));
    assert_eq!(balanced(&rx.gauge()).rejected, 0);
}

#[test]
fn o4_a_run_that_waits_lets_every_other_producer_have_its_turn() {
    let (tx, mut rx) = blocking(1);
    let (mut run, mut other) = (vec![1, 2, 3], vec![10, 20]);
    let mut run = Task::pending(tx.send_many(&mut run));
    let mut other = Task::pending(tx.send_many(&mut other));
    let mut single = Task::pending(tx.send(100));
    let mut received = Vec::new();
    for _ in 0..6 {
        received.extend(rx.try_recv());
        ignore((run.poll(), other.poll()));
        ignore(received.len() == 3 && single.poll().is_ready());
    }
    assert_eq!(received, [1, 2, 10, 100, 3, 20]);
}

#[test]
fn o4_a_light_run_does_not_overtake_a_heavy_item_that_waits() {
    let limits = config(9, Strategy::block_forever()).max_weight(5);
    let (tx, mut rx) = Builder::new(built(limits)).weigh_by(|&weight: &usize| weight).build();
    fill(&tx, [2, 1]);
    let mut first = vec![3, 1, 1];
    let mut first = Task::pending(tx.send_many(&mut first));
    let mut heavy = Task::pending(tx.send(4));
    let mut light = vec![1, 1];
    assert_eq!((tx.try_send_many(&mut light), light.len()), (Err(SendError::Full(())), 2));
    assert_eq!(rx.try_recv(), Some(2));
    assert!(first.poll().is_pending(), "one item has had its turn, and the others stand behind the heavy one");
    assert_eq!(drained(&mut rx), [1, 3]);
    assert!(heavy.poll().is_ready() && first.poll().is_pending());
    assert_eq!((drained(&mut rx), first.poll().is_ready()), (vec![4, 1], true));
    assert_eq!(drained(&mut rx), [1]);
}

#[test]
fn x1_a_run_that_is_given_up_has_sent_what_is_gone_and_keeps_the_rest() {
    for served in [false, true] {
        let (tx, mut rx) = blocking(2);
        let mut items = vec![1, 2, 3, 4, 5];
        let run = Task::pending(tx.send_many(&mut items));
        let mut next = Task::pending(tx.send(9));
        if served {
            assert_eq!(rx.try_recv(), Some(1));
            assert!(run.is_woken() && !next.is_woken());
        }
        drop(run);
        assert_eq!(items, [3, 4, 5]);
        assert_eq!(next.is_woken(), served, "the slot goes to the next one");
        let mut received = drained(&mut rx);
        assert!(next.poll().is_ready());
        received.extend(drained(&mut rx));
        assert_eq!(received, if served { vec![2, 9] } else { vec![1, 2, 9] });
        let counts = balanced(&rx.gauge());
        assert_eq!((counts.received, counts.rejected), (3, 0), "what was not sent was never received");
    }
}

#[test]
fn w4_a_run_that_waits_gets_its_rest_back_when_the_channel_closes() {
    let (tx, mut rx) = blocking(2);
    let mut items = vec![1, 2, 3, 4];
    let run = Task::pending(tx.send_many(&mut items));
    rx.close();
    assert!(run.is_woken());
    assert_eq!(run.finish(), Err(SendError::Closed(())));
    assert_eq!(items, [3, 4]);
    assert_eq!(now(tx.send_many(&mut items)), Err(SendError::Closed(())));
    assert_eq!(tx.try_send_many(&mut items), Err(SendError::Closed(())));
    assert_eq!(items, [3, 4]);
    assert_eq!(drained(&mut rx), [1, 2]);
    assert_eq!(balanced(&rx.gauge()).rejected, 3 * 2);
}

#[test]
fn an_item_that_can_never_enter_ends_a_run() {
    let limits = config(9, Strategy::block_forever()).max_weight(5).oversize(Oversize::Refuse);
    let (tx, mut rx) = Builder::new(built(limits)).weigh_by(|&weight: &usize| weight).build();
    let mut items = vec![2, 6, 1];
    assert_eq!(now(tx.send_many(&mut items)), Err(SendError::Full(())));
    assert_eq!((items, drained(&mut rx)), (vec![6, 1], vec![2]));
}

#[test]
fn d3_a_heavy_item_of_a_run_waits_for_its_weight() {
    let limits = config(9, Strategy::block_forever()).max_weight(5);
    let (tx, mut rx) = Builder::new(built(limits)).weigh_by(|&weight: &usize| weight).build();
    let mut items = vec![2, 3, 4, 1, 5];
    let mut run = Task::pending(tx.send_many(&mut items));
    assert_eq!(rx.backlog().weight, 5);
    assert_eq!(rx.try_recv(), Some(2));
    assert!(!run.is_woken(), "4 does not fit beside 3");
    assert_eq!(rx.try_recv(), Some(3));
    assert!(run.poll().is_pending());
    assert_eq!((drained(&mut rx), run.poll()), (vec![4, 1], Poll::Ready(Ok(now(async { sent(5) })))));
    assert_eq!(drained(&mut rx), [5]);
}

fn sent(accepted: usize) -> SentMany {
    let mut sent = SentMany::default();
    sent.accepted = accepted;
    sent
}

#[test]
fn c3_c4_a_hook_that_panics_on_one_item_of_a_run_gets_the_others_all_the_same() {
    for strategy in [Strategy::DropOldest, Strategy::DropNewest, Strategy::Sample { one_in: 2 }, Strategy::DropLowest] {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let (tx, mut rx) = Builder::new(built(config(4, strategy)))
            .rank_by(|&n: &u32| Priority::new((n % 4) as u8))
            .on_drop(move |_, _| {
                assert!(count.fetch_add(1, Ordering::Relaxed) > 0, "the hook does not like the first one");
            })
            .build();
        let mut items: Vec<_> = (0..20).collect();
        let run = std::panic::AssertUnwindSafe(|| tx.try_send_many(&mut items));
        assert!(std::panic::catch_unwind(run).is_err(), "{strategy}");
        let counts = balanced(&tx.gauge());
        assert_eq!(seen.load(Ordering::Relaxed) as u64, counts.dropped() + counts.evicted(), "{strategy}");
        assert_eq!((counts.received, counts.queued as usize), (20, drained(&mut rx).len()));
    }
}

#[test]
fn w2_a_run_wakes_a_receiver_that_waits_once() {
    let (tx, mut rx) = blocking(100);
    let mut recv = Task::pending(rx.recv());
    assert_eq!(accepted(tx.try_send_many(&mut (0..50).collect())), 50);
    assert_eq!(recv.wakes.count(), 1);
    assert_eq!(recv.poll(), Poll::Ready(Some(0)));
}

#[test]
fn m1_a_run_knows_what_was_taken_of_a_lease() {
    let (tx, mut rx) = blocking(10);
    fill(&tx, 0..4);
    assert_eq!((rx.try_recv(), rx.try_recv()), (Some(0), Some(1)));
    assert_eq!(accepted(tx.try_send_many(&mut (4..12).collect())), 8);
    assert_eq!(tx.gauge().utilization(), 1.0);
    assert_eq!(tx.try_send(12), Err(SendError::Full(12)));
    assert!(drained(&mut rx).into_iter().eq(2..12));
}

#[test]
fn c6_runs_allocate_nothing_of_their_own() {
    for strategy in [Strategy::Reject, Strategy::DropOldest, Strategy::DropNewest] {
        let (tx, _rx) = open(8, strategy);
        let mut items = Vec::with_capacity(16);
        for _ in 0..10 {
            items.clear();
            items.extend(0..16);
            ignore(tx.try_send_many(&mut items));
            assert_eq!(items.capacity(), 16, "{strategy}");
        }
        balanced(&tx.gauge());
    }
}
