//! Sink adapters of others.

use backpressure_tck::{Failed, Sinks};
use futures_util::SinkExt;

use crate::peer::Peer;

pub fn all() -> Vec<Peer> {
    vec![
        Peer::new("futures-util", "Sink::buffer", || Sinks::of(|down| down.buffer(2)).bound(2).examine("")),
        Peer::new("futures-util", "Sink::with", || {
            Sinks::of(|down| down.with(|item| std::future::ready(Ok::<u32, Failed>(item)))).bound(1).examine("")
        }),
        Peer::new("futures-util", "Sink::fanout, with a drain", || {
            Sinks::of(|down| down.fanout(futures_util::sink::drain().sink_map_err(|_| Failed))).bound(0).examine("")
        }),
    ]
}
