//! What every adapter is, whatever it does: thread-safe if its parts are, movable, and a sink if its upstream is one.

use std::cell::Cell;
use std::fmt::Debug;
use std::marker::PhantomPinned;

use backpressure_core::{BackpressureConfig, BatchConfig};
use backpressure_stream::{
    Backpressure, BackpressureStreamExt, Coalesce, Conflate, MicroBatch, MicroBatchBy, Spawned, TryMicroBatch,
};
use futures_util::stream::{Empty, FusedStream};
use futures_util::{FutureExt, Sink, SinkExt};

use crate::support::Duplex;

type Items = Empty<Result<u8, u8>>;
type Key = fn(&Result<u8, u8>) -> u8;
type Merge = fn(Result<u8, u8>, Result<u8, u8>) -> Result<u8, u8>;

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const fn is_unpin<T: Unpin>() {}
const fn is_fused<T: FusedStream + Debug>() {}

macro_rules! pinned {
    ($($adapter:ty),*) => {
        $(is_send::<$adapter>(); is_sync::<$adapter>(); is_unpin::<$adapter>(); is_fused::<$adapter>();)*
    };
}

#[test]
fn i4_every_adapter_is_send_sync_and_unpin_if_its_parts_are() {
    pinned!(
        Backpressure<Items>,
        MicroBatch<Items>,
        MicroBatchBy<Items, u8, Key>,
        TryMicroBatch<Items>,
        Conflate<Items, Merge>,
        Coalesce<Empty<Vec<u8>>>,
        Spawned<u8>
    );
    is_send::<Backpressure<Empty<Cell<u8>>>>();
    is_send::<MicroBatch<Empty<Cell<u8>>>>();
    is_unpin::<Spawned<PhantomPinned>>();
    is_unpin::<Backpressure<Empty<PhantomPinned>>>();
}

#[test]
fn i4_an_adapter_says_what_it_is() {
    let (config, batches) = (BackpressureConfig::default(), BatchConfig::default());
    let says = |adapter: &dyn Debug, name| assert!(format!("{adapter:?}").starts_with(&format!("{name} {{")));
    says(&Duplex::default().backpressure(config), "Backpressure");
    says(&Duplex::default().micro_batch(batches), "MicroBatch");
    says(&Duplex::default().try_micro_batch(batches), "TryMicroBatch");
    says(&Duplex::default().micro_batch_by(|item| item.is_ok(), batches), "MicroBatchBy");
    says(&Duplex::default().conflate(|_, newest| newest), "Conflate");
}

fn works_as_a_sink<A: Sink<u8, Error = u8> + Unpin>(mut adapter: A, upstream: impl Fn(&A) -> &Duplex) {
    assert_eq!(adapter.send(1).now_or_never(), Some(Ok(())));
    assert_eq!(adapter.send(0).now_or_never(), Some(Err(0)));
    assert_eq!(adapter.close().now_or_never(), Some(Ok(())));
    let Duplex { sent, flushed, closed } = upstream(&adapter);
    assert_eq!((*sent, *flushed, *closed), (2, 1, 1));
}

#[test]
fn i3_every_adapter_is_a_sink_if_its_upstream_is_one() {
    let (config, batches) = (BackpressureConfig::default(), BatchConfig::default());
    works_as_a_sink(Duplex::default().backpressure(config), Backpressure::get_ref);
    works_as_a_sink(Duplex::default().micro_batch(batches), MicroBatch::get_ref);
    works_as_a_sink(Duplex::default().try_micro_batch(batches), TryMicroBatch::get_ref);
    works_as_a_sink(Duplex::default().micro_batch_by(|item| item.is_ok(), batches), MicroBatchBy::get_ref);
    works_as_a_sink(Duplex::default().conflate(|_, newest| newest), Conflate::get_ref);
}
