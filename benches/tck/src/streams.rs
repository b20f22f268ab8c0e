//! Stream adapters of others.

use std::time::Duration;

use backpressure_tck::Streams;
use futures_batch::ChunksTimeoutStreamExt;
use futures_util::StreamExt;

use crate::peer::Peer;

const LINGER: Duration = Duration::from_millis(20);

pub fn all() -> Vec<Peer> {
    vec![
        Peer::new("tokio-stream", "chunks_timeout", || {
            let make = |upstream, most| tokio_stream::StreamExt::chunks_timeout(upstream, most, LINGER);
            Streams::batches(make).ahead(3).linger(LINGER).examine("")
        }),
        Peer::new("tokio-stream", "ReceiverStream, from a task", || {
            let make = |mut upstream: backpressure_tck::Upstream| {
                let (sender, receiver) = tokio::sync::mpsc::channel(2);
                tokio::spawn(async move {
                    while let Some(item) = upstream.next().await {
                        if sender.send(item).await.is_err() {
                            break;
                        }
                    }
                });
                tokio_stream::wrappers::ReceiverStream::new(receiver)
            };
            Streams::of(make).ahead(3).examine("")
        }),
        Peer::new("futures-util", "chunks", || Streams::batches(|up, most| up.chunks(most)).ahead(3).examine("")),
        Peer::new("futures-util", "ready_chunks", || {
            Streams::batches(|up, most| up.ready_chunks(most)).ahead(3).examine("")
        }),
        Peer::new("futures-util", "map, buffered(2)", || {
            Streams::of(|up| up.map(std::future::ready).buffered(2)).ahead(2).examine("")
        }),
        Peer::new("futures-batch", "chunks_timeout", || {
            let make = |upstream, most| ChunksTimeoutStreamExt::chunks_timeout(upstream, most, LINGER);
            Streams::batches(make).ahead(3).linger(LINGER).examine("")
        }),
    ]
}
