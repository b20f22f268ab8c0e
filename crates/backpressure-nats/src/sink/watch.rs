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
    let mut losses = Losses::default();
    while !lost.is_closed() {
        ticks.tick().await;
        let Ok(Ok(stream)) = timeout(every, jetstream.get_stream(&stream)).await else { continue };
        let info = stream.cached_info();
        if info.config.discard != DiscardPolicy::Old || info.config.retention != RetentionPolicy::Limits {
            return;
        }
        lost.send_replace(losses.seen(info.state.first_sequence));
    }
}

/// What was lost since the first look.
#[derive(Debug, Default)]
struct Losses {
    first: Option<u64>,
}

impl Losses {
    /// The number of the first message that the stream has, which is 0 if it never had any: numbers begin with 1.
    fn seen(&mut self, first_sequence: u64) -> u64 {
        let now = first_sequence.max(1);
        now.saturating_sub(*self.first.get_or_insert(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m1_a_stream_that_was_empty_at_the_first_look_has_lost_nothing_with_its_first_message() {
        let mut losses = Losses::default();
        assert_eq!([0, 1, 176].map(|first| losses.seen(first)), [0, 0, 175]);
        let mut losses = Losses::default();
        assert_eq!([40, 40, 65].map(|first| losses.seen(first)), [0, 0, 25]);
    }
}
