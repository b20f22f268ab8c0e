//! E1 to E3, items that expire: what is given out, what is lost, and who hears of it.

use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{BackpressureConfigBuilder, DropReason, Priority, Strategy};
use proptest::prelude::{Strategy as Draw, *};
use tokio::time::advance;

use backpressure_rt::now;
use futures_core::Stream;

use crate::support::{STRATEGIES, Task, balanced, built, config};

const MS: Duration = Duration::from_millis(1);

type Lost = mpsc::Receiver<(u32, DropReason)>;

/// A channel whose items live 100 ms.
fn aging(config: BackpressureConfigBuilder) -> (Sender<u32>, Receiver<u32>, Lost) {
    let (lost, all_lost) = mpsc::channel();
    let builder = Builder::new(built(config.max_age(100 * MS)));
    let (tx, rx) = builder.on_drop(move |item, reason| lost.send((item, reason)).unwrap_or_default()).build();
    (tx, rx, all_lost)
}

fn expired(lost: &Lost) -> Vec<u32> {
    lost.try_iter()
        .map(|(item, reason)| {
            assert_eq!(reason, DropReason::Expired);
            item
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn e1_e2_what_is_too_old_is_not_received_but_lost_as_expired() {
    for strategy in STRATEGIES {
        let (tx, mut rx, lost) = aging(config(64, strategy));
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        advance(60 * MS).await;
        assert_eq!(tx.try_send(2), Ok(Sent::Accepted));
        advance(39 * MS).await;
        assert_eq!(tx.try_send(3), Ok(Sent::Accepted));
        advance(MS).await;
        assert_eq!(rx.try_recv(), Some(2), "{strategy}");
        assert_eq!(expired(&lost), [1]);
        advance(99 * MS).await;
        let mut out = Vec::new();
        assert_eq!((rx.try_recv_many(&mut out, 9, usize::MAX), expired(&lost)), (0, vec![3]));
        let counts = balanced(&rx.gauge());
        assert_eq!((counts.delivered, counts.lost(DropReason::Expired), counts.queued), (1, 2, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn c2_a_run_into_a_full_channel_that_looks_seldom_has_one_fate_for_each_item() {
    let (tx, mut rx, lost) = aging(config(4, Strategy::DropOldest));
    (0..100).for_each(|item| assert!(tx.try_send(item).is_ok(), "at this pace the channel looks seldom"));
    let sent = tx.try_send_many(&mut (100..200).collect()).unwrap();
    assert_eq!((sent.accepted, sent.evicted, sent.dropped), (100, 100, 0));
    let mut out = Vec::new();
    rx.try_recv_many(&mut out, 9, usize::MAX);
    assert_eq!(out, [196, 197, 198, 199]);
    assert_eq!(
        lost.try_iter().collect::<Vec<_>>(),
        (0..196).map(|item| (item, DropReason::Evicted)).collect::<Vec<_>>()
    );
    let counts = balanced(&rx.gauge());
    assert_eq!((counts.delivered, counts.evicted(), counts.queued), (4, 196, 0));
}

#[tokio::test(start_paused = true)]
async fn e1_r1_another_age_holds_for_what_is_queued_and_none_cannot_be_asked_for() {
    let (tx, mut rx, lost) = aging(config(64, Strategy::block()));
    let (handle, aged) = (tx.handle(), |ms| built(config(64, Strategy::block()).max_age(ms * MS)));
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    advance(60 * MS).await;
    handle.reconfigure(aged(200)).unwrap();
    assert_eq!(rx.gauge().snapshot().max_age, Some(200 * MS));
    advance(60 * MS).await;
    assert_eq!((rx.try_recv(), expired(&lost)), (Some(1), vec![]));
    assert_eq!(tx.try_send(2), Ok(Sent::Accepted));
    advance(60 * MS).await;
    handle.reconfigure(aged(50)).unwrap();
    assert_eq!((rx.try_recv(), expired(&lost)), (None, vec![2]));
    let error = handle.reconfigure(built(config(64, Strategy::block()))).unwrap_err();
    assert_eq!(error.field(), "max_age");
    assert_eq!(handle.config(), aged(50));
}

#[tokio::test(start_paused = true)]
async fn e1_what_was_lent_and_has_expired_since_is_not_among_many() {
    let (tx, mut rx, lost) = aging(config(1000, Strategy::block()));
    tx.try_send_many(&mut (0..100).collect()).unwrap();
    for item in 0..20 {
        assert_eq!(rx.try_recv(), Some(item));
    }
    tx.try_send(100).unwrap();
    advance(100 * MS).await;
    tx.try_send_many(&mut vec![101, 102]).unwrap();
    let mut out = Vec::new();
    assert_eq!(rx.recv_many(&mut out, 1000).await, 2);
    assert_eq!((out, expired(&lost).len()), (vec![101, 102], 81));
    assert_eq!(balanced(&rx.gauge()).delivered, 22);
}

#[tokio::test(start_paused = true)]
async fn e1_after_a_pause_no_more_than_15_are_late() {
    for strategy in [Strategy::block(), Strategy::DropOldest] {
        let (tx, mut rx, lost) = aging(config(1000, strategy));
        (0..500).for_each(|item| assert!(tx.try_send(item).is_ok()));
        (0..100).for_each(|item| assert_eq!(rx.try_recv(), Some(item)));
        advance(100 * MS).await;
        let late = std::iter::from_fn(|| rx.try_recv()).count();
        assert!(late <= 15, "{strategy}: {late}");
        assert_eq!(late + expired(&lost).len(), 400);
    }
}

#[tokio::test(start_paused = true)]
async fn e1_a_receiver_that_waited_gets_nothing_that_expired_before_it_came() {
    let (tx, mut rx, lost) = aging(config(100, Strategy::block()));
    for item in 0..50 {
        tx.try_send(item).unwrap();
        assert_eq!(rx.recv().await, Some(item));
    }
    let mut recv = Task::pending(rx.recv());
    tx.try_send(50).unwrap();
    assert_eq!(recv.wakes.count(), 1);
    advance(100 * MS).await;
    assert_eq!(recv.poll(), Poll::Pending, "all there was has expired, which is not the end");
    assert_eq!(expired(&lost), [50]);
    tx.try_send(51).unwrap();
    assert_eq!(recv.finish(), Some(51));
    drop(tx);
    assert_eq!(rx.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn e3_a_full_channel_is_looked_at_before_anybody_is_refused() {
    for strategy in [Strategy::block(), Strategy::Reject, Strategy::DropNewest] {
        let (tx, rx, lost) = aging(config(20, strategy));
        (0..20).for_each(|item| assert_eq!(tx.try_send(item), Ok(Sent::Accepted)));
        assert!(!tx.try_send(20).is_ok_and(Sent::is_accepted));
        let _ = lost.try_iter().count();
        advance(100 * MS).await;
        assert_eq!(tx.try_send(21), Ok(Sent::Accepted), "{strategy}");
        assert_eq!(expired(&lost), (0..20).collect::<Vec<_>>());
        assert_eq!(balanced(&rx.gauge()).queued, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn e3_o4_a_producer_whose_patience_ends_looks_first_and_the_next_in_line_are_served() {
    let (tx, rx, lost) = aging(config(2, Strategy::Block { max_wait: 150 * MS }));
    (0..2).for_each(|item| assert_eq!(tx.try_send(item), Ok(Sent::Accepted)));
    let mut first = Task::pending(tx.send(2));
    advance(MS).await;
    let second = Task::pending(tx.reserve());
    let third = Task::pending(tx.send(3));
    advance(149 * MS).await;
    assert_eq!(first.poll(), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(expired(&lost), [0, 1]);
    assert_eq!((second.wakes.count(), third.wakes.count()), (1, 0));
    let permit = second.finish().unwrap();
    advance(MS).await;
    assert_eq!(third.finish(), Err(SendError::TimedOut(3)));
    permit.send(4).unwrap();
    assert_eq!(balanced(&rx.gauge()).queued, 2);
}

#[tokio::test(start_paused = true)]
async fn w2_dropping_what_has_expired_wakes_those_who_wait_for_room() {
    let (tx, mut rx, lost) = aging(config(2, Strategy::block_forever()));
    (0..2).for_each(|item| assert_eq!(tx.try_send(item), Ok(Sent::Accepted)));
    let mut sends = [2, 3, 4].map(|item| Task::pending(tx.send(item)));
    advance(100 * MS).await;
    assert_eq!(rx.expire(), 2);
    assert_eq!(expired(&lost), [0, 1]);
    assert_eq!(sends.each_ref().map(|send| send.wakes.count()), [1, 1, 0]);
    assert!(sends.iter_mut().map(Task::poll).map(|sent| sent.is_ready()).eq([true, true, false]));
    assert_eq!((rx.expire(), rx.try_recv()), (0, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn e1_e2_a_deadline_of_its_own_counts_at_an_items_turn_and_none_is_none() {
    let start = now();
    for ranked in [false, true] {
        let builder = Builder::new(built(config(9, Strategy::block())))
            .expires_by(move |&item: &u32| (item > 0).then(|| start + item * MS));
        let (tx, mut rx) = if ranked { builder.rank_by(|_| Priority::LOWEST) } else { builder }.build();
        (0..5).for_each(|n| assert_eq!(tx.try_send(n * 1000), Ok(Sent::Accepted)));
        (0..2).for_each(|n| assert_eq!(tx.try_send(n * 1000), Ok(Sent::Accepted)));
        assert_eq!(rx.size_hint(), (0, None));
        advance(start + 2000 * MS - now()).await;
        assert_eq!(rx.recv().await, Some(0));
        assert_eq!(rx.backlog().items, 6, "the expired ones keep their place");
        let mut out = Vec::new();
        assert_eq!(rx.recv_many(&mut out, 9).await, 3);
        assert_eq!(out, [3000, 4000, 0]);
        assert_eq!(balanced(&rx.gauge()).lost(DropReason::Expired), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn c4_a_hook_that_panics_on_what_expired_leaves_the_channel_whole() {
    let (tx, mut rx) = Builder::new(built(config(2, Strategy::block()).max_age(MS)))
        .on_drop(|item: u32, _| assert_ne!(item, 0, "the hook does not like 0"))
        .build();
    (0..2).for_each(|item| assert_eq!(tx.try_send(item), Ok(Sent::Accepted)));
    let send = Task::pending(tx.send(2));
    advance(MS).await;
    let received = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rx.try_recv()));
    assert!(received.is_err());
    assert_eq!(send.wakes.count(), 1);
    assert_eq!(send.finish(), Ok(Sent::Accepted));
    assert_eq!(rx.try_recv(), Some(2));
    assert_eq!(balanced(&rx.gauge()).lost(DropReason::Expired), 2);
}

#[tokio::test(start_paused = true)]
async fn t1_t3_closing_and_dropping_count_every_item_once() {
    let (tx, mut rx, lost) = aging(config(100, Strategy::block()));
    (0..60).for_each(|item| assert_eq!(tx.try_send(item), Ok(Sent::Accepted)));
    assert_eq!(rx.try_recv(), Some(0));
    drop(tx);
    advance(100 * MS).await;
    let gauge = rx.gauge();
    drop(rx);
    assert_eq!(lost.try_iter().count(), 59);
    let counts = balanced(&gauge);
    assert_eq!((counts.delivered, counts.dropped(), counts.queued), (1, 59, 0));
}

/// What may happen, and how many times or milliseconds.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send(u32),
    Recv(u32),
    RecvMany(usize),
    Wait(u32),
}

fn step() -> impl Draw<Value = Step> {
    prop_oneof![
        (1u32..90).prop_map(Step::Send),
        (1u32..90).prop_map(Step::Recv),
        (0usize..40).prop_map(Step::RecvMany),
        (1u32..70).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn c1_e1_e2_o1_many_together_are_young_and_one_by_one_few_are_late(
        strategy in prop::sample::select(STRATEGIES.to_vec()),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (tx, mut rx, lost) = aging(config(150, strategy));
            let (mut born, mut last, mut late, mut early) = (Vec::<Instant>::new(), None, 0, 0);
            for step in steps {
                let mut out = Vec::new();
                match step {
                    Step::Wait(ms) => {
                        advance(ms * MS).await;
                        (late, early) = (0, 0);
                    }
                    Step::Send(items) => for _ in 0..items {
                        let _ = tx.try_send(born.len() as u32);
                        born.push(now());
                    },
                    Step::Recv(items) => out.extend((0..items).map_while(|_| rx.try_recv())),
                    Step::RecvMany(most) => {
                        rx.try_recv_many(&mut out, most, usize::MAX);
                        prop_assert!(out.iter().all(|&item| now() - born[item as usize] < 100 * MS), "e1");
                    }
                }
                late += out.iter().filter(|&&item| now() - born[item as usize] >= 100 * MS).count();
                prop_assert!(late <= 15, "e1");
                for item in out {
                    prop_assert!(last.is_none_or(|last| item > last), "o1");
                    last = Some(item);
                }
                for (item, reason) in lost.try_iter() {
                    early += usize::from(reason == DropReason::Expired && now() - born[item as usize] < 100 * MS);
                }
                prop_assert!(early <= 15, "e2");
                balanced(&rx.gauge());
            }
            Ok(())
        })?;
    }
}
