//! Callers on several threads at once: real threads, no clock.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use backpressure_tower::{Batch, BatchLayer};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};

const CALLERS: u32 = 48;
const ROUNDS: u32 = 400;

/// A request of this caller, with a number that grows.
type Request = (u32, u32);

/// Answers each request with itself, and sees to it that no caller's requests come out of turn.
fn in_turn()
-> impl Service<Vec<Request>, Response = Vec<Request>, Error = Infallible, Future = Ready<Result<Vec<Request>, Infallible>>>
+ Clone {
    let last = Arc::new(Mutex::new(HashMap::new()));
    service_fn(move |batch: Vec<Request>| {
        let mut last = last.lock().unwrap();
        for &(caller, number) in &batch {
            let before = last.insert(caller, number);
            assert!(before < Some(number), "caller {caller}: {number} after {before:?}");
        }
        ready(Ok(batch))
    })
}

/// Makes three calls at a time, waits for two, forgets the third; now and then leaves its place in line.
async fn caller(mut batch: Batch<Request, Request, Infallible>, caller: u32) -> (u64, u64) {
    let (mut made, mut answered) = (0, 0);
    for round in 0..ROUNDS {
        let number = |nth| (caller, 3 * round + nth + 1);
        let first = batch.ready().await.unwrap().call(number(0));
        let second = batch.ready().await.unwrap().call(number(1));
        drop(batch.ready().await.unwrap().call(number(2)));
        made += 3;
        assert_eq!(second.await.unwrap(), number(1));
        assert_eq!(first.await.unwrap(), number(0));
        answered += 2;
        if (round + caller) % 7 == 0 {
            tokio::task::yield_now().await;
            let _place = batch.clone().ready().await.unwrap();
        }
    }
    (made, answered)
}

/// The same, woken by another thread for its answer.
fn in_turn_and_late()
-> impl Service<Vec<Request>, Response = Vec<Request>, Error = Infallible, Future: Send> + Clone + Send + 'static {
    let (wakers, woken) = mpsc::channel::<Waker>();
    thread::spawn(move || woken.into_iter().for_each(Waker::wake));
    let mut inner = in_turn();
    service_fn(move |batch| {
        let answer = inner.call(batch);
        let mut wakers = Some(wakers.clone());
        async move {
            poll_fn(|cx| match wakers.take() {
                Some(wakers) => wakers.send(cx.waker().clone()).map_or(Poll::Ready(()), |()| Poll::Pending),
                None => Poll::Ready(()),
            })
            .await;
            answer.await
        }
    })
}

fn crowd<S>(capacity: usize, concurrency: usize, service: S)
where
    S: Service<Vec<Request>, Response = Vec<Request>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let layer = BatchLayer::builder().capacity(capacity).max_items(16).concurrency(concurrency).build().unwrap();
        let batch = layer.layer(service);
        let gauge = batch.gauge();
        let mut callers: JoinSet<_> = (0..CALLERS).map(|number| caller(batch.clone(), number)).collect();
        let (mut made, mut answered) = (0, 0);
        while let Some(done) = callers.join_next().await {
            let done = done.unwrap();
            (made, answered) = (made + done.0, answered + done.1);
            let counts = gauge.snapshot().counts;
            assert!(counts.balances() && counts.queued <= capacity as u64, "{counts:?}");
        }
        let report = batch.drain(std::time::Duration::MAX).await;
        assert!(report.is_complete());
        let counts = gauge.snapshot().counts;
        assert_eq!(counts.received, made);
        assert!(counts.balances() && counts.queued + counts.in_flight == 0, "{counts:?}");
        assert!((answered..=made).contains(&counts.delivered), "{counts:?}");
    });
}

#[test]
fn o1_c1_everyone_in_a_crowd_is_answered_in_turn_and_counted() {
    crowd(4096, 1, in_turn());
}

#[test]
fn o4_c1_everyone_in_a_crowd_gets_a_place_where_there_are_few() {
    crowd(32, 1, in_turn());
}

#[test]
fn w6_everyone_in_a_crowd_is_answered_by_a_service_that_another_thread_wakes() {
    crowd(4096, 1, in_turn_and_late());
    crowd(32, 3, in_turn_and_late());
}

#[test]
fn w6_a_caller_that_is_alone_is_answered_by_a_service_that_another_thread_wakes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let batch = BatchLayer::builder().build().unwrap().layer(in_turn_and_late());
        let (made, answered) = tokio::spawn(caller(batch.clone(), 0)).await.unwrap();
        assert_eq!((made, answered), (u64::from(3 * ROUNDS), u64::from(2 * ROUNDS)));
    });
}
