//! Side by side with the peers, where what they do is right.

use std::time::Duration;

use backpressure_core::BatchConfig;
use backpressure_stream::BackpressureStreamExt;
use futures_util::{Stream, StreamExt, stream};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::support::{MS, Script, Step, exhaust, paused};

fn steps() -> impl Strategy<Value = Vec<Step<u32>>> {
    let step = prop_oneof![5 => any::<u32>().prop_map(Step::Item), 1 => Just(Step::Pause), 1 => Just(Step::Restless)];
    prop::collection::vec(step, 0..200).prop_map(|steps| steps.into_iter().chain([Step::End]).collect())
}

/// Yields the numbers from 0 on, each after its pause of so many milliseconds.
fn paced(pauses: Vec<u32>) -> impl Stream<Item = usize> {
    Box::pin(stream::iter(pauses).enumerate().then(|(n, pause)| async move {
        if pause > 0 {
            tokio::time::sleep(pause * MS).await; // tidy: paused clock
        }
        n
    }))
}

/// The items of a stream, each with the time at which it came.
async fn timed<St: Stream + Unpin>(stream: St) -> Vec<(Duration, St::Item)> {
    let start = Instant::now();
    stream.map(|item| (start.elapsed(), item)).collect().await
}

proptest! {
    #[test]
    fn b6_without_a_linger_to_speak_of_it_is_chunks(steps in steps(), max_items in 1usize..20) {
        let config = BatchConfig::builder().max_items(max_items).linger(Duration::MAX).build().unwrap();
        let ours = exhaust(&mut Script::new(steps.clone()).micro_batch(config));
        let theirs = exhaust(&mut Script::new(steps).chunks(max_items));
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn b6_with_no_linger_at_all_it_is_ready_chunks(steps in steps(), max_items in 1usize..20) {
        paused().block_on(async {
            let config = BatchConfig::builder().max_items(max_items).linger(Duration::ZERO).build().unwrap();
            let ours = exhaust(&mut Script::new(steps.clone()).micro_batch(config));
            let theirs = exhaust(&mut Script::new(steps).ready_chunks(max_items));
            prop_assert_eq!(ours, theirs);
            Ok(())
        })?;
    }

    #[test]
    fn b2_over_an_upstream_that_pauses_it_is_chunks_timeout(
        pauses in prop::collection::vec(prop_oneof![2 => Just(0u32), 1 => (1u32..6).prop_map(|half| 2 * half)], 0..60),
        max_items in 1usize..8,
        // Odd, so that no item comes just when a batch is due.
        linger in (0u32..6).prop_map(|half| 2 * half + 1),
    ) {
        paused().block_on(async {
            let linger = linger * MS;
            let config = BatchConfig::builder().max_items(max_items).linger(linger).build().unwrap();
            let ours = timed(paced(pauses.clone()).micro_batch(config)).await;
            let theirs = timed(Box::pin(tokio_stream::StreamExt::chunks_timeout(paced(pauses), max_items, linger))).await;
            prop_assert_eq!(ours, theirs);
            Ok(())
        })?;
    }
}
