//! K1, time inside tokio: how long a producer waits (the clock decides, the timer only wakes), and what the gauge makes of it.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use backpressure_channel::{Receiver, SendError, Sender, Sent};
use backpressure_core::{State, Strategy};

use crate::budget::spend;
use crate::support::{SinkPolls, Task, Wakes, balanced, drained, fill, now, open};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A full channel whose producers wait five seconds.
fn full() -> (Sender<u32>, Receiver<u32>) {
    let (tx, rx) = open(1, Strategy::block());
    assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
    (tx, rx)
}

#[tokio::test(start_paused = true)]
async fn k1_a_send_is_handed_back_after_its_longest_wait_and_not_before() {
    let (tx, rx) = full();
    let began = tokio::time::Instant::now();
    assert_eq!(tx.send(1).await, Err(SendError::TimedOut(1)));
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(tx.reserve().await.err(), Some(SendError::TimedOut(())));
    assert_eq!(began.elapsed().as_secs(), 10);
    let counts = balanced(&rx.gauge());
    assert_eq!((counts.rejected, rx.gauge().snapshot().producers_waiting), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn k1_the_wait_begins_with_the_first_poll_and_polling_does_not_prolong_it() {
    let (tx, _rx) = full();
    let mut send = Task::new(tx.send(1));
    tokio::time::advance(10 * SECOND).await;
    for _ in 0..5 {
        assert!(send.poll().is_pending());
        tokio::time::advance(SECOND).await;
    }
    assert_eq!(send.wakes.count(), 1, "by the timer, once");
    assert_eq!(send.finish(), Err(SendError::TimedOut(1)));
}

#[tokio::test(start_paused = true)]
async fn k1_room_that_comes_in_time_is_taken_even_if_it_is_noticed_late() {
    let (tx, mut rx) = full();
    let mut send = Task::pending(tx.send(1));
    tokio::time::advance(4 * SECOND).await;
    assert_eq!(rx.try_recv(), Some(0));
    tokio::time::advance(4 * SECOND).await;
    assert_eq!(send.poll(), Poll::Ready(Ok(Sent::Accepted)));
}

#[tokio::test(start_paused = true)]
async fn k1_one_that_ran_out_of_patience_lets_the_next_one_in() {
    let (tx, mut rx) = full();
    let mut first = Task::pending(tx.send(1));
    tokio::time::advance(3 * SECOND).await;
    let mut second = Task::pending(tx.send(2));
    tokio::time::advance(3 * SECOND).await;
    assert_eq!(first.poll(), Poll::Ready(Err(SendError::TimedOut(1))));
    assert!(second.poll().is_pending());
    assert_eq!(rx.gauge().snapshot().producers_waiting, 1, "the first has left the line, although its future is there");
    assert_eq!(rx.try_recv(), Some(0));
    assert_eq!(second.poll(), Poll::Ready(Ok(Sent::Accepted)));
}

#[tokio::test(start_paused = true)]
async fn k1_the_deadline_holds_for_a_task_whose_cooperative_budget_is_nearly_spent() {
    let (tx, _rx) = full();
    let mut send = Task::pending(tx.send(1));
    tokio::time::advance(6 * SECOND).await;
    let budget = poll_fn(|cx| Poll::Ready(spend(cx, usize::MAX))).await;
    tokio::task::yield_now().await;
    let answer = poll_fn(|cx| {
        spend(cx, budget - 1);
        Poll::Ready(send.poll())
    });
    assert_eq!(answer.await, Poll::Ready(Err(SendError::TimedOut(1))), "the timer has nothing left to run on");
}

#[tokio::test(start_paused = true)]
async fn d6_waits_that_no_clock_can_count_are_just_long() {
    for max_wait in [Duration::MAX, Duration::MAX - Duration::from_nanos(1), Duration::from_secs(u64::MAX / 4)] {
        let (tx, mut rx) = open(1, Strategy::Block { max_wait });
        assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
        let mut send = Task::pending(tx.send(1));
        tokio::time::advance(Duration::from_secs(1_000_000_000)).await;
        assert!(send.poll().is_pending(), "{max_wait:?}");
        assert!(!send.is_woken());
        assert_eq!(rx.try_recv(), Some(0));
        assert_eq!(send.poll(), Poll::Ready(Ok(Sent::Accepted)));
    }
}

#[tokio::test(start_paused = true)]
async fn k1_a_sink_waits_as_long_as_it_takes() {
    let (mut tx, mut rx) = full();
    let wakes = Wakes::default();
    assert!(tx.ready(&wakes).is_pending());
    tokio::time::advance(1000 * SECOND).await;
    assert!(tx.ready(&wakes).is_pending());
    assert_eq!(wakes.count(), 0);
    assert_eq!(now(rx.recv()), Some(0));
    assert!(tx.ready(&wakes).is_ready());
}

#[tokio::test(start_paused = true)]
async fn m2_the_time_a_producer_was_made_to_wait_is_recorded_when_it_is_let_in() {
    let (tx, mut rx) = open(1, Strategy::block());
    let gauge = tx.gauge();
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(gauge.snapshot().producer_wait_p99, None);
    let mut blocked = Task::pending(tx.send(2));
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(rx.try_recv(), Some(1));
    assert!(blocked.poll().is_ready());
    let p99 = gauge.snapshot().producer_wait_p99.expect("one has waited");
    assert!(p99.abs_diff(Duration::from_secs(3)) <= Duration::from_millis(200), "{p99:?}");
    assert_eq!(now(rx.recv()), Some(2));
}

#[tokio::test(start_paused = true)]
async fn k1_the_gauge_counts_time_by_tokios_clock() {
    let (tx, mut rx) = open(2, Strategy::block());
    let gauge = tx.gauge();
    gauge.snapshot();
    tokio::time::advance(Duration::from_secs(1)).await;
    fill(&tx, 0..2);
    tokio::time::advance(Duration::from_secs(2)).await;
    let snapshot = gauge.snapshot();
    assert_eq!(snapshot.time_in(State::Normal), Duration::from_secs(1));
    assert_eq!(snapshot.time_in(State::Blocked), Duration::from_secs(2));
    assert_eq!(snapshot.oldest_age, Some(Duration::from_secs(3)), "bounded by the snapshot before its arrival");
    drained(&mut rx);
    assert_eq!(gauge.snapshot().oldest_age, None);
}

#[tokio::test(start_paused = true)]
async fn m2_waits_that_were_given_up_are_in_the_wait_time_like_any_other() {
    for in_vain in ["timed out", "dropped", "closed", "served and dropped"] {
        let (tx, mut rx) = open(1, Strategy::Block { max_wait: 500 * MS });
        assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
        for _ in 0..50 {
            let mut waits = Task::pending(tx.send(1));
            tokio::time::advance(500 * MS).await;
            match in_vain {
                "timed out" => assert_eq!(waits.poll(), Poll::Ready(Err(SendError::TimedOut(1)))),
                "dropped" => {}
                "closed" => {
                    tx.close_channel();
                    assert_eq!(waits.poll(), Poll::Ready(Err(SendError::Closed(1))));
                    break;
                }
                _ => {
                    assert!(rx.try_recv().is_some() && waits.is_woken());
                    drop(waits);
                    assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
                }
            }
        }
        let p99 = rx.gauge().snapshot().producer_wait_p99;
        assert!(p99 >= Some(400 * MS) && p99 <= Some(600 * MS), "{in_vain}: {p99:?}");
    }
}

#[test]
fn k1_a_runtime_without_a_timer_is_like_no_runtime() {
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (tx, mut rx) = open(1, Strategy::Block { max_wait: 10 * MS });
            assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
            let began = std::time::Instant::now();
            assert_eq!(tx.send(1).await, Err(SendError::TimedOut(1)));
            assert_eq!(tx.reserve().await.err(), Some(SendError::TimedOut(())));
            assert!(began.elapsed() >= 20 * MS);
            let mut waits = Task::pending(tx.send(2));
            assert_eq!(rx.try_recv(), Some(0));
            assert_eq!(waits.poll(), Poll::Ready(Ok(Sent::Accepted)));
        });
    }
}
