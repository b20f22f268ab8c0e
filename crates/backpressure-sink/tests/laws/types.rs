//! What may be sent, shared and moved.

use std::marker::PhantomPinned;

use backpressure_sink::{BackpressureSink, BackpressureSinkError, Driven, Driver, ServiceSink};

use crate::kit::{Broken, Probe};

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn unpin<T: Unpin>() {}

type Service = tower::util::BoxService<u8, (), Broken>;

#[test]
fn i4_public_types_are_send_sync_and_unpin_where_their_parts_are() {
    send::<BackpressureSink<Probe<u8>, u8>>();
    sync::<BackpressureSink<Probe<u8>, u8>>();
    unpin::<BackpressureSink<Vec<u8>, PhantomPinned>>();

    send::<Driven<u8, Broken>>();
    sync::<Driven<u8, Broken>>();
    unpin::<Driven<PhantomPinned, PhantomPinned>>();

    send::<Driver<Probe<u8>, u8>>();
    sync::<Driver<Probe<u8>, u8>>();
    unpin::<Driver<Probe<u8>, u8>>();

    send::<ServiceSink<Service, u8>>();
    unpin::<ServiceSink<Service, u8>>();

    send::<BackpressureSinkError<u8, Broken>>();
    sync::<BackpressureSinkError<u8, Broken>>();
    unpin::<BackpressureSinkError<u8, Broken>>();
}

#[cfg(feature = "time")]
#[test]
fn i4_a_batching_sink_too() {
    use backpressure_sink::BatchingSink;

    send::<BatchingSink<Probe<Vec<u8>>, u8>>();
    sync::<BatchingSink<Probe<Vec<u8>>, u8>>();
    unpin::<BatchingSink<Probe<Vec<PhantomPinned>>, PhantomPinned>>();
}
