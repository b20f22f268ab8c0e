//! Adapters of streams: a consumer that takes one item, and never asks again.

use futures_util::{Stream, StreamExt, future};

use crate::case::{Case, Setup, Tolerance};
use crate::reach::Reach;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("a stream by itself, after one item", "the consumer", "none", |reach| after_one(reach.ready())),
        case("`peekable`, after one item that was peeked at", "the adapter", "none", |reach: Reach| {
            Box::pin(async move {
                let mut stream = Box::pin(reach.ready().peekable());
                stream.as_mut().peek().await;
                Ok(Box::new(stream) as _)
            })
        }),
        case("`buffered(16)`, after one item", "the adapter", "its argument", |reach| {
            after_one(reach.ready().map(future::ready).buffered(16))
        }),
        case("`buffer_unordered(16)`, after one item", "the adapter", "its argument", |reach| {
            after_one(reach.ready().map(future::ready).buffer_unordered(16))
        }),
        case("`ready_chunks(16)`, after one chunk", "the consumer: the chunk", "its argument", |reach| {
            after_one(reach.ready().ready_chunks(16))
        }),
        case("`flatten_unordered(16)` of endless streams, after one item", "the adapter", "its argument", |reach| {
            let streams = reach.ready().map(futures_util::stream::repeat);
            after_one(streams.flatten_unordered(16))
        }),
        case(
            "`forward` into futures mpsc(16)",
            "the channel, and one in the adapter's hand",
            "the capacity",
            |reach| {
                Box::pin(async move {
                    let (sender, receiver) = futures_channel::mpsc::channel(16);
                    let source = reach.ready().map(Ok);
                    tokio::spawn(source.forward(sender));
                    Ok(Box::new(receiver) as _)
                })
            },
        ),
    ]
}

fn after_one<St: Stream + 'static>(stream: St) -> Setup {
    let mut stream = Box::pin(stream);
    Box::pin(async move {
        stream.next().await;
        Ok(Box::new(stream) as _)
    })
}
