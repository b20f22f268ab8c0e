//! Channels: a receiver that is held, and never asked.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::{broadcast, mpsc, watch};

use crate::case::{Case, Tolerance};

const CAPACITY: usize = 16;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("tokio mpsc(16)", "the channel", "its capacity", |reach| {
            Box::pin(async move {
                let (sender, receiver) = mpsc::channel(CAPACITY);
                tokio::spawn(async move { reach.feed(|item| sender.send(item)).await });
                Ok(Box::new(receiver) as _)
            })
        }),
        case("tokio mpsc, unbounded", "the channel", "none", |reach| {
            Box::pin(async move {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::spawn(async move { reach.feed(async |item| sender.send(item)).await });
                Ok(Box::new(receiver) as _)
            })
        }),
        case(
            "tokio broadcast(16)",
            "nowhere: it keeps the newest 16",
            "none; a slow receiver sees `Lagged`",
            |reach| {
                Box::pin(async move {
                    let (sender, receiver) = broadcast::channel(CAPACITY);
                    tokio::spawn(async move { reach.feed(async |item| sender.send(item).map(drop)).await });
                    Ok(Box::new(receiver) as _)
                })
            },
        ),
        case("tokio watch", "nowhere: it keeps the newest one", "none", |reach| {
            Box::pin(async move {
                let (sender, receiver) = watch::channel(Bytes::new());
                tokio::spawn(async move { reach.feed(async |item| sender.send(item)).await });
                Ok(Box::new(receiver) as _)
            })
        }),
        case("futures mpsc(16), one sender", "the channel", "its capacity; each sender adds one", |reach| {
            Box::pin(async move {
                let (mut sender, receiver) = futures_channel::mpsc::channel(CAPACITY);
                tokio::spawn(async move {
                    loop {
                        if let Err(error) = sender.feed(reach.item()).await {
                            return reach.lose(error);
                        }
                        if reach.count() {
                            return;
                        }
                    }
                });
                Ok(Box::new(receiver) as _)
            })
        }),
        case(
            "futures mpsc(16), a fresh clone for each item",
            "the channel",
            "keep one sender for each producer",
            |reach| {
                Box::pin(async move {
                    let (sender, receiver) = futures_channel::mpsc::channel(CAPACITY);
                    tokio::spawn(async move {
                        reach
                            .feed(|item| {
                                let mut sender = sender.clone();
                                async move { sender.feed(item).await }
                            })
                            .await;
                    });
                    Ok(Box::new(receiver) as _)
                })
            },
        ),
        case("backpressure channel(16)", "the channel", "its capacity", |reach| {
            Box::pin(async move {
                let config = backpressure_core::BackpressureConfig::builder().capacity(CAPACITY);
                let config = config.strategy(backpressure_core::Strategy::block_forever()).build()?;
                let (sender, receiver) = backpressure_channel::Builder::new(config).build();
                reach.shows(receiver.gauge());
                tokio::spawn(async move { reach.feed(async |item| sender.send(item).await.map(drop)).await });
                Ok(Box::new(receiver) as _)
            })
        }),
    ]
}
