//! Threads that send: in the queue of the others, asleep while they wait, and never where tasks run.

use std::thread;
use std::time::Duration;

use backpressure_channel::{SendError, Sent};
use backpressure_core::{Gauge, Strategy};

use crate::support::{Task, balanced, blocking, drained, finishes, open};

/// Until so many producers wait.
fn until_waiting(gauge: &Gauge, producers: usize) {
    while gauge.snapshot().producers_waiting < producers {
        thread::yield_now();
    }
}

#[test]
fn o4_threads_and_tasks_are_served_in_one_queue() {
    finishes(|| {
        let (tx, mut rx) = blocking(1);
        let gauge = rx.gauge();
        assert_eq!(tx.blocking_send(0), Ok(Sent::Accepted), "there is room");
        let first = Task::pending(tx.send(1));
        let producer = tx.clone();
        let second = thread::spawn(move || producer.blocking_send(2));
        until_waiting(&gauge, 2);
        let third = Task::pending(tx.send(3));
        assert_eq!(rx.try_recv(), Some(0));
        assert!(first.is_woken() && !third.is_woken());
        assert_eq!(first.finish(), Ok(Sent::Accepted));
        assert_eq!(rx.try_recv(), Some(1));
        assert_eq!(second.join().unwrap(), Ok(Sent::Accepted));
        assert_eq!(rx.try_recv(), Some(2));
        assert_eq!(third.finish(), Ok(Sent::Accepted));
        assert_eq!(drained(&mut rx), [3]);
        balanced(&gauge);
    });
}

#[test]
fn w4_a_thread_that_waits_gets_its_item_back_when_the_channel_closes() {
    finishes(|| {
        let (tx, rx) = blocking(1);
        let gauge = rx.gauge();
        assert_eq!(tx.blocking_send("first"), Ok(Sent::Accepted));
        let sender = thread::spawn(move || tx.blocking_send("second"));
        until_waiting(&gauge, 1);
        drop(rx);
        assert_eq!(sender.join().unwrap(), Err(SendError::Closed("second")));
        balanced(&gauge);
    });
}

#[test]
fn x1_a_thread_waits_no_longer_than_the_strategy_says() {
    finishes(|| {
        let (tx, rx) = open(1, Strategy::Block { max_wait: Duration::from_millis(5) });
        assert_eq!(tx.blocking_send(1), Ok(Sent::Accepted));
        assert_eq!(tx.blocking_send(2), Err(SendError::TimedOut(2)));
        assert_eq!(balanced(&rx.gauge()).rejected, 1);
    });
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use tokio::runtime::Builder;
    use tokio::task::spawn_blocking;

    use super::*;

    #[test]
    fn c2_where_tasks_run_the_item_comes_back_even_if_there_is_room() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (tx, rx) = blocking(1);
            let error = tx.blocking_send(1).unwrap_err();
            assert_eq!(error, SendError::WouldBlockRuntime(1));
            assert!(error.to_string().contains("await"), "{error}");
            assert_eq!(balanced(&rx.gauge()).rejected, 1);
        });
    }

    #[test]
    fn w2_a_thread_for_blocking_work_waits_for_a_task() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (tx, mut rx) = blocking(1);
            let sender = spawn_blocking(move || (0..100).try_for_each(|n| tx.blocking_send(n).map(drop)));
            let mut received = Vec::new();
            while let Some(n) = rx.recv().await {
                received.push(n);
            }
            assert_eq!((sender.await.unwrap(), received), (Ok(()), (0..100).collect()));
        });
    }
}
