//! Callers that lead, in runtimes and outside of them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, current, park};
use std::time::Duration;

use backpressure_tower::{Batch, BatchLayer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn over_a_concurrency_limit_of_one_a_leader_that_is_parked_holds_the_permit_and_nobody_else_up() {
    let inner = service_fn(|batch: Vec<u32>| async move {
        tokio::time::sleep(Duration::from_millis(10)).await; // tidy: paused clock
        Ok::<_, tower::BoxError>(batch)
    });
    let inner = ServiceBuilder::new().concurrency_limit(1).service(inner);
    let batch: Batch<u32, u32, _> = BatchLayer::builder().build().unwrap().layer(inner);
    assert_eq!(batch.clone().oneshot(0).await.unwrap(), 0);
    let mut parked = pin!(batch.clone().oneshot(1));
    assert!(poll_fn(|cx| Poll::Ready(parked.as_mut().poll(cx).is_pending())).await);
    let second = tokio::time::timeout(MINUTE, batch.clone().oneshot(2)).await;
    assert_eq!(second.expect("not held up").unwrap(), 2);
    assert_eq!(parked.await.unwrap(), 1);
}

/// The inner service needs the runtime of its batcher.
#[test]
fn a_caller_of_another_runtime_or_of_none_leads_in_the_batchers_own() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let inner = service_fn(|batch: Vec<u32>| async move {
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        Ok::<_, &str>(vec![tokio::time::Instant::now(); batch.len()])
    });
    let layer = BatchLayer::builder().build().unwrap();
    let batch: Batch<u32, _, _> = runtime.block_on(async { layer.layer(inner) });
    for request in 0..10 {
        let _ = futures_util::FutureExt::now_or_never(batch.clone().oneshot(request));
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(other.block_on(batch.clone().oneshot(request)).is_ok());
        drop(other);
        assert!(block_on(batch.clone().oneshot(request)).is_ok());
    }
}

/// Runs a future on this thread, outside of every runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        park();
    }
}
