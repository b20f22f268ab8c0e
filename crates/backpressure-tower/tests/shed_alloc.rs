//! What refusing and waiting cost in memory: nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backpressure_core::limit::{CoDel, Fixed, Level, Outcome};
use backpressure_tower::{Entry, Limiter, Permit, QueuedCall, ShedLayer};
use tower::{Layer, Service, service_fn};

/// A clock of its own, for which nobody waits long, however busy the machine is.
fn clock() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    static READS: AtomicU64 = AtomicU64::new(0);
    *START.get_or_init(Instant::now) + Duration::from_nanos(READS.fetch_add(1, Ordering::Relaxed))
}

fn limiter(limit: usize) -> Limiter {
    Limiter::builder().limit(Fixed::new(limit).unwrap()).queue(CoDel::new()).clock(clock).build()
}

fn queued(limiter: &Limiter) -> QueuedCall {
    match limiter.acquire(Level::default(), None) {
        Ok(Entry::Queued(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

fn served(mut ticket: QueuedCall) -> Permit {
    match ticket.poll_admitted(&Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(permit)) => permit,
        other => panic!("{other:?}"),
    }
}

/// Fills the queue and empties it again.
fn turns(limiter: &Limiter, rounds: usize) {
    for _ in 0..rounds {
        let mut flying = limiter.try_admit(Level::default()).expect("a slot");
        let waiting = [(); 8].map(|()| queued(limiter));
        for ticket in waiting {
            flying.finish(Outcome::Success);
            flying = served(ticket);
        }
        flying.finish(Outcome::Success);
    }
}

#[test]
fn c6_waiting_in_the_queue_allocates_nothing_and_keeps_nothing() {
    let limiter = limiter(1);
    turns(&limiter, 3);
    let info = allocation_counter::measure(|| turns(&limiter, 10_000));
    assert_eq!((info.count_total, info.bytes_current), (0, 0));
}

#[test]
fn c6_a_million_refusals_allocate_nothing_and_keep_nothing() {
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let _slot = handle.limiter().try_admit(Level::default()).expect("a slot");
    let mut service = layer.layer(service_fn(|_: u32| std::future::ready(Ok::<_, ()>(()))));
    let info = allocation_counter::measure(|| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..1_000_000 {
            assert!(service.poll_ready(&mut cx).is_ready());
            let shed = std::pin::pin!(service.call(1)).poll(&mut cx);
            assert!(matches!(shed, Poll::Ready(Err(_))));
        }
    });
    assert_eq!((info.count_total, info.bytes_current), (0, 0));
    assert_eq!(handle.counts().total(), 1_000_000);
}
