//! D5 inside tokio: a task that always could go on yields when its cooperative budget is spent.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_channel::Sent;
use backpressure_core::Strategy;
use futures_core::Stream;
use futures_util::StreamExt;

use crate::support::{Task, Wakes, drained, fill, open};

/// Spends what one poll of a tokio task may do, up to so many units; answers how many there were.
pub(crate) fn spend(cx: &mut Context<'_>, most: usize) -> usize {
    (0..most).take_while(|_| pin!(tokio::task::consume_budget()).as_mut().poll(cx).is_ready()).count()
}

#[tokio::test]
async fn d5_without_budget_everything_yields_with_its_waker_woken_and_changes_nothing() {
    let (tx, mut rx) = open(4, Strategy::DropOldest);
    fill(&tx, [1, 2]);
    let ([a, b, c, d], mut out) = (std::array::from_fn(|_| Wakes::default()), Vec::new());
    let mut send = Task::new(tx.send(3));
    poll_fn(|cx| {
        spend(cx, usize::MAX);
        assert!(send.poll_with(&a).is_pending());
        assert!(Task::new(rx.recv()).poll_with(&b).is_pending());
        assert!(Task::new(rx.recv_many(&mut out, 9)).poll_with(&c).is_pending());
        assert!(d.run(|cx| Pin::new(&mut rx).poll_next(cx)).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(rx.backlog().items, 2);
    tokio::task::yield_now().await;
    assert_eq!([a, b, c, d].map(|wakes| wakes.count()), [1; 4], "by the runtime, after the others had their turn");
    assert_eq!(send.poll(), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(drained(&mut rx), [1, 2, 3]);
}

#[tokio::test]
async fn d5_others_have_their_turn_beside_one_that_never_has_to_wait() {
    const MANY: usize = 4000;
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let had_turns = || turns.swap(0, Ordering::Relaxed) > 1;

    let (tx, mut rx) = open(MANY, Strategy::DropOldest);
    for n in 0..2 * MANY {
        assert!(tx.send(n).await.is_ok());
    }
    assert!(had_turns(), "beside a sender");
    for n in MANY..MANY + MANY / 2 {
        assert_eq!(rx.recv().await, Some(n));
    }
    assert!(had_turns(), "beside a receiver");
    for n in MANY + MANY / 2..2 * MANY {
        assert_eq!(rx.next().await, Some(n));
    }
    assert!(had_turns(), "beside a stream");
    other.abort();
}

#[tokio::test]
async fn d5_a_few_sends_and_a_few_receives_share_a_unit_of_budget() {
    let (tx, mut rx) = open(1000, Strategy::DropOldest);
    let budget = poll_fn(|cx| Poll::Ready(spend(cx, usize::MAX))).await;
    for (units, operations) in [(1, 4), (2, 8), (3, 12)] {
        tokio::task::yield_now().await;
        let sent = poll_fn(|cx| {
            spend(cx, budget - units);
            Poll::Ready((0..).take_while(|&n| Task::new(tx.send(n)).poll().is_ready()).count())
        });
        assert_eq!(sent.await, operations);
        tokio::task::yield_now().await;
        let received = poll_fn(|cx| {
            spend(cx, budget - units);
            Poll::Ready((0..).take_while(|_| Task::new(rx.recv()).poll().is_ready()).count())
        });
        assert_eq!(received.await, operations);
    }
}

#[tokio::test]
async fn d5_waiting_uses_up_no_budget() {
    let (tx, mut rx) = open(1, Strategy::Block { max_wait: Duration::MAX });
    fill(&tx, [1]);
    let budget = poll_fn(|cx| Poll::Ready(spend(cx, usize::MAX))).await;
    tokio::task::yield_now().await;
    let left = poll_fn(|cx| {
        assert!(Task::new(tx.send(2)).poll().is_pending());
        assert_eq!(rx.try_recv(), Some(1));
        assert!(Task::new(rx.recv()).poll().is_pending());
        Poll::Ready(spend(cx, usize::MAX))
    });
    assert_eq!(left.await, budget);
}
