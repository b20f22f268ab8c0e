//! Services of others.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_tck::{Failed, Inner, Many, Services};
use batch_aint_one::{Batcher, BatchingPolicy, Limits, Processor};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::{Service, ServiceExt, service_fn};
use tower_batch::BatchControl;

use crate::peer::Peer;

const BATCH: usize = 3;
const LINGER: Duration = Duration::from_millis(20);

pub fn all() -> Vec<Peer> {
    vec![
        Peer::new("tower", "ConcurrencyLimit", || {
            Services::of(|inner: Inner| ConcurrencyLimit::new(inner.one(), 2)).inner_limit(3).limit(2).examine("")
        }),
        Peer::new("tower", "Buffer", || Services::of(|inner: Inner| Buffer::new(inner.one(), 2)).examine("")),
        Peer::new("tower", "LoadShed over ConcurrencyLimit", || {
            let make = |inner: Inner| LoadShed::new(ConcurrencyLimit::new(inner.one(), 2));
            Services::of(make).inner_limit(3).limit(2).sheds().examine("")
        }),
        Peer::new("tower-batch", "Batch", || {
            let make = |inner: Inner| {
                tower_batch::Batch::new(ByItem { inner: inner.many(), batch: Vec::new() }, BATCH, LINGER)
            };
            Services::of(make).examine("")
        }),
        Peer::new("tower-batch", "Batch over ConcurrencyLimit(1)", || {
            let make = |inner: Inner| {
                let limited = ConcurrencyLimit::new(ByItem { inner: inner.many(), batch: Vec::new() }, 1);
                tower_batch::Batch::new(limited, BATCH, LINGER)
            };
            Services::of(make).examine("")
        }),
        Peer::new("batch-aint-one", "Batcher, as a service", || Services::of(batch_aint_one).examine("")),
    ]
}

/// What `tower-batch` asks of its inner service: items are kept until it says that they are to be flushed.
#[derive(Debug)]
struct ByItem {
    inner: Many,
    batch: Vec<(u32, oneshot::Sender<u32>)>,
}

impl Service<BatchControl<u32>> for ByItem {
    type Response = u32;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<u32, Failed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, control: BatchControl<u32>) -> Self::Future {
        match control {
            BatchControl::Item(item) => {
                let (answer, answered) = oneshot::channel();
                self.batch.push((item, answer));
                async { answered.await.map_err(|_| Failed) }.boxed()
            }
            BatchControl::Flush => {
                let (items, callers): (Vec<_>, Vec<_>) = self.batch.drain(..).unzip();
                let answers = self.inner.call(items);
                async move {
                    let answers = answers.await?;
                    for (caller, answer) in callers.into_iter().zip(answers) {
                        let _ = caller.send(answer); // a caller that has gone needs no answer
                    }
                    Ok(0)
                }
                .boxed()
            }
        }
    }
}

#[derive(Debug, Clone)]
struct ByBatch(Many);

impl Processor for ByBatch {
    type Key = ();
    type Input = u32;
    type Output = u32;
    type Error = String;
    type Resources = ();

    async fn acquire_resources(&self, (): ()) -> Result<(), String> {
        Ok(())
    }

    async fn process(&self, (): (), inputs: impl Iterator<Item = u32> + Send, (): ()) -> Result<Vec<u32>, String> {
        let inputs = inputs.collect();
        let answers = self.0.clone().ready().await.map_err(|failed| failed.to_string())?.call(inputs).await;
        answers.map_err(|failed| failed.to_string())
    }
}

/// It is no service: one that is always ready stands before it.
fn batch_aint_one(inner: Inner) -> impl Service<u32, Response = u32, Error = Failed, Future: 'static> + Clone {
    let limits = Limits::builder().max_batch_size(BATCH).max_key_concurrency(2).max_key_queued_items(1_024).build();
    let batcher = Batcher::builder()
        .name("tck")
        .processor(ByBatch(inner.many()))
        .limits(limits)
        .batching_policy(BatchingPolicy::Immediate)
        .build();
    let batcher = Arc::new(batcher);
    service_fn(move |item| {
        let batcher = Arc::clone(&batcher);
        async move { batcher.add((), item).await.map_err(|_| Failed) }.boxed()
    })
}
