//! Channels of others.

use backpressure_tck::{Channel, Channels};
use futures_util::SinkExt;

use crate::peer::Peer;

const BOUND: usize = 2;

pub fn all() -> Vec<Peer> {
    vec![
        Peer::new("futures-channel", "mpsc", || {
            let make = || {
                let (sender, receiver) = futures_channel::mpsc::channel(BOUND);
                let send = move |item| {
                    let mut sender = sender.clone();
                    Box::pin(async move { SinkExt::send(&mut sender, item).await.map_err(drop) }) as _
                };
                Channel::new(send, receiver)
            };
            Channels::of(make).examine("")
        }),
        Peer::new("tokio", "sync::mpsc, ReceiverStream", || {
            let make = || {
                let (sender, receiver) = tokio::sync::mpsc::channel(BOUND);
                let send = move |item| {
                    let sender = sender.clone();
                    Box::pin(async move { sender.send(item).await.map_err(drop) }) as _
                };
                Channel::new(send, tokio_stream::wrappers::ReceiverStream::new(receiver))
            };
            Channels::of(make).bound(BOUND).examine("")
        }),
        Peer::new("flume", "send_async, into_stream", || {
            let make = || {
                let (sender, receiver) = flume::bounded(BOUND);
                let send = move |item| {
                    let sender = sender.clone();
                    Box::pin(async move { sender.into_send_async(item).await.map_err(drop) }) as _
                };
                Channel::new(send, receiver.into_stream())
            };
            Channels::of(make).bound(BOUND).examine("")
        }),
        Peer::new("async-channel", "send, Receiver", || {
            let make = || {
                let (sender, receiver) = async_channel::bounded(BOUND);
                let send = move |item| {
                    let sender = sender.clone();
                    Box::pin(async move { sender.send(item).await.map_err(drop) }) as _
                };
                Channel::new(send, receiver)
            };
            Channels::of(make).bound(BOUND).examine("")
        }),
        Peer::new("crossfire", "mpsc::bounded_async, into_stream", || {
            let make = || {
                let (sender, receiver) = crossfire::mpsc::bounded_async::<u32>(BOUND);
                let send = move |item| {
                    let sender = sender.clone();
                    Box::pin(async move { sender.send(item).await.map_err(drop) }) as _
                };
                Channel::new(send, receiver.into_stream())
            };
            Channels::of(make).bound(BOUND).examine("")
        }),
        Peer::new("ring-channel", "Sink, Stream", || {
            let make = || {
                let (sender, receiver) = ring_channel::ring_channel(BOUND.try_into().expect("more than none"));
                let send = move |item| {
                    let mut sender = sender.clone();
                    Box::pin(async move { SinkExt::send(&mut sender, item).await.map_err(drop) }) as _
                };
                Channel::new(send, receiver)
            };
            Channels::of(make).loses().examine("")
        }),
    ]
}
