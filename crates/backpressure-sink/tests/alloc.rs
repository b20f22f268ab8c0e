//! What must not allocate does not.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use backpressure_core::{BackpressureConfig, Strategy};
use backpressure_sink::BackpressureSinkExt;
use futures_sink::Sink;

/// Never ready.
struct Stalled;

impl Sink<u64> for Stalled {
    type Error = std::convert::Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, _: u64) -> Result<(), Self::Error> {
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }
}

#[test]
fn c6_a_million_offers_to_a_full_sink_allocate_nothing_and_keep_nothing() {
    for strategy in [Strategy::Reject, Strategy::DropNewest, Strategy::DropOldest, Strategy::sample()] {
        let config = BackpressureConfig::builder().capacity(64).strategy(strategy).build().unwrap();
        let mut sink = Stalled.bounded(config);
        let mut cx = Context::from_waker(Waker::noop());
        let mut offer = |item| {
            assert!(Pin::new(&mut sink).poll_ready(&mut cx).is_ready());
            let _ = Pin::new(&mut sink).start_send(item);
        };
        (0..1000).for_each(&mut offer);
        let allocated = measure(|| (0..1_000_000).for_each(&mut offer));
        assert_eq!(allocated.count_total, 0, "{strategy}: {allocated:?}");
        let queued = sink.gauge().snapshot().counts.queued;
        assert!(queued <= 64, "{strategy}: {queued}");
    }
}
