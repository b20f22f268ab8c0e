//! Streams to measure adapters over, and the consumers that check them.

use std::hint::black_box;
use std::pin::pin;
use std::task::Poll;

use futures_util::stream::{self, Stream, StreamExt};

use super::sum_below;

pub(crate) const ITEMS: u64 = 50_000;

/// Has every item ready.
pub(crate) fn ready() -> impl Stream<Item = u64> + Unpin + Send + 'static {
    stream::iter((0..ITEMS).map(black_box))
}

/// Pauses after every item, and wakes its task at once.
pub(crate) fn churning() -> impl Stream<Item = u64> + Unpin + Send + 'static {
    let (mut next, mut pause) = (0, false);
    stream::poll_fn(move |cx| {
        pause = !pause;
        if !pause {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let item = next;
        next += 1;
        Poll::Ready((item < ITEMS).then(|| black_box(item)))
    })
}

pub(crate) async fn sum_of_items(mut items: impl Stream<Item = u64> + Unpin) {
    let mut sum = 0;
    while let Some(item) = items.next().await {
        sum += item;
    }
    assert_eq!(sum, sum_below(ITEMS));
}

pub(crate) async fn sum_of_batches(batches: impl Stream<Item = Vec<u64>>) {
    let (mut batches, mut sum) = (pin!(batches), 0);
    while let Some(batch) = batches.next().await {
        sum += batch.iter().sum::<u64>();
    }
    assert_eq!(sum, sum_below(ITEMS));
}
