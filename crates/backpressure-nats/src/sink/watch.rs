//! What a stream throws away.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Looks every now and then at what a stream with limits has thrown away since the first look, as long as somebody listens. A
/// stream that throws nothing away is looked at once.
pub(super) async fn losses(jetstream: Context, stream: String, every: Duration, lost: watch::Sender<u64>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut first = None;
    while !lost.is_closed() {
        ticks.tick().await;
        let Ok(Ok(stream)) = timeout(every, jetstream.get_stream(&stream)).await else { continue };
        let info = stream.cached_info();
        if info.config.discard != DiscardPolicy::Old || info.config.retention != RetentionPolicy::Limits {
            return;
        }
        let now = info.state.first_sequence;
        lost.send_replace(now.saturating_sub(*first.get_or_insert(now)));
    }
}
