//! What the types promise, and what costs nothing.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Waker};

use allocation_counter::measure;
use backpressure_core::limit::Level;
use backpressure_tower::{
    Class, Drain, Limiter, LimiterBuilder, Overloaded, Permit, Policy, QueuedCall, Shed, ShedError, ShedFuture,
    ShedHandle, ShedLayer,
};
use tower::{Layer, Service, service_fn};

use crate::kit::{Desk, poll};

#[test]
fn i4_auto_traits() {
    fn shared<T: Send + Sync + Unpin + 'static>() {}
    fn sent<T: Send>(_: &T) {}
    shared::<Limiter>();
    shared::<Permit>();
    shared::<QueuedCall>();
    shared::<Overloaded>();
    shared::<ShedError<std::io::Error>>();
    shared::<ShedLayer>();
    shared::<Shed<Desk>>();
    shared::<ShedHandle>();
    shared::<(Class, Policy)>();
    fn is_send<T: Send + 'static>() {}
    is_send::<LimiterBuilder>();
    is_send::<Drain>();
    is_send::<ShedFuture<Desk, u32, backpressure_tower::Plain>>();
    fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}
    unwinds::<Overloaded>();
    sent(&ShedLayer::adaptive().level(|_: &u32| Level::default()));
}

#[test]
fn c6_a_call_that_is_shed_allocates_nothing() {
    let layer = ShedLayer::fixed(1).unwrap();
    let mut service = layer.layer(service_fn(|_: u32| std::future::pending::<Result<u32, &'static str>>()));
    let mut cx = Context::from_waker(Waker::noop());
    let mut shed_one = || {
        assert!(service.poll_ready(&mut cx).is_ready());
        let response = std::pin::pin!(service.call(1));
        poll(response).is_ready()
    };
    let _slot = layer.handle().limiter().try_admit(Level::default()).unwrap();
    assert!(shed_one());
    let info = measure(|| (0..10_000).for_each(|_| assert!(shed_one())));
    assert_eq!((info.count_total, info.bytes_max), (0, 0));
    assert_eq!(layer.handle().counts().total(), 10_001);
}

#[test]
fn m3_a_call_that_is_admitted_allocates_nothing_either() {
    let layer = ShedLayer::fixed(10).unwrap();
    let mut service = layer.layer(service_fn(|n: u32| std::future::ready(Ok::<_, &'static str>(n))));
    let mut cx = Context::from_waker(Waker::noop());
    let mut one = || {
        assert!(service.poll_ready(&mut cx).is_ready());
        assert!(poll(std::pin::pin!(service.call(1))).is_ready());
    };
    one();
    let info = measure(|| (0..10_000).for_each(|_| one()));
    assert_eq!(info.count_total, 0);
}
