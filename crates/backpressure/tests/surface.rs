//! The names of the facade: where they are, and what a glob import must not hide.

#![allow(unused_imports, reason = "these imports are the test")]

/// Each name at the root, by its path.
mod root {
    use backpressure::channel::Builder;
    use backpressure::core::{BatchAccumulator, BoundedBuffer, FlushPacer};
    use backpressure::layers::{Limiter, RequestHeaders, RetryBudget};
    use backpressure::registry::{Registry, dashboard, scrape};
    use backpressure::{
        BackpressureConfig, BackpressureController, BackpressureSink, BackpressureSinkError, BackpressureSinkExt,
        BackpressureStreamExt, BatchConfig, BatchError, BatchLayer, BufferHandle, ChannelHandle, ConfigError,
        ControllerHandle, Counts, DrainReport, DropReason, FlushError, FlushOutcome, Gauge, GracefulShutdown, Health,
        Overloaded, Priority, Receiver, RefusedExt, RetryLayer, SendError, Sender, Sent, ServiceSink, ShedError,
        ShedLayer, Shutdown, Snapshot, State, Strategy, ThrottleError, ThrottleLayer, channel,
    };
}

/// The crate `tower` and its modules beside everything of ours. This does not compile if a name of ours hides one of them.
mod glob {
    use axum::{Router, routing};
    use backpressure::*;
    use tower::util::ServiceExt;
    use tower::{ServiceBuilder, service_fn};

    pub(super) async fn call() -> Result<u32, ShedError<std::io::Error>> {
        let double = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(2 * n) });
        let service = ServiceBuilder::new().layer(ShedLayer::adaptive()).service(double);
        tower::ServiceExt::oneshot(service, 21).await
    }
}

/// The prelude beside std's and tokio's.
mod with_prelude {
    use backpressure::prelude::*;
    use tokio::sync::mpsc;

    pub(super) fn states() -> Result<(State, usize), Box<dyn std::error::Error>> {
        let (tx, rx) = channel::<u8>(BackpressureConfig::builder().capacity(2).batch_items(1).build()?);
        tx.try_send(1).map_err(|error| error.to_string())?;
        let (_, other) = mpsc::channel::<u8>(3);
        Ok((rx.gauge().state(), other.capacity()))
    }
}

#[tokio::test]
async fn the_root_and_tower_are_imported_together() {
    assert_eq!(glob::call().await.unwrap(), 42);
}

#[test]
fn the_prelude_has_what_a_channel_takes() {
    assert_eq!(with_prelude::states().unwrap(), (backpressure::State::Elevated, 3));
}
