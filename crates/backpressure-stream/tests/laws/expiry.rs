//! E1 and E2, items that expire while they are read ahead.

use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BackpressureConfig, DropReason, Strategy};
use backpressure_rt::now;
use backpressure_stream::BackpressureStreamExt;
use futures_util::stream::FusedStream;
use futures_util::{Stream, StreamExt};

use crate::support::{Script, Step, exhaust, paused, poll_once, push_clock};

const MS: Duration = Duration::from_millis(1);

#[test]
fn e1_e2_what_grew_too_old_while_the_consumer_was_away_is_lost_and_the_rest_is_yielded() {
    let runtime = paused();
    let _guard = runtime.enter();
    for strategy in [Strategy::block(), Strategy::DropOldest] {
        let config = BackpressureConfig::builder().capacity(8).strategy(strategy).max_age(100 * MS).build().unwrap();
        let upstream =
            Script::new((0..5).map(Step::Item).chain([Step::Pause]).chain((5..8).map(Step::Item)).chain([Step::End]));
        let mut stream = upstream.backpressure(config);
        let gauge = stream.gauge();
        assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
        assert_eq!(stream.size_hint().0, 0, "i2: what is held may expire");
        push_clock(100 * MS);
        let late = exhaust(&mut stream);
        assert!(late.ends_with(&[6, 7]) && late.len() <= 7, "{strategy}: {late:?}");
        assert!(stream.is_terminated());
        let counts = gauge.snapshot().counts;
        assert!(counts.balances());
        assert_eq!(counts.delivered + counts.lost(DropReason::Expired), 8, "{counts}");
    }
}

#[test]
fn e1_d3_deadlines_count_at_once_and_one_too_heavy_enters_when_what_it_waits_for_has_expired() {
    let runtime = paused();
    let _guard = runtime.enter();
    let start = now();
    let config = BackpressureConfig::builder().capacity(8).max_weight(10).build().unwrap();
    let items = [(6, None), (6, Some(5 * MS)), (9, None), (1, Some(MS))];
    let mut stream = Script::ready(items)
        .backpressure(config)
        .weigh_by(|&(weight, _)| weight)
        .expires_by(move |&(_, life)| life.map(|life| start + life));
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some((6, None))));
    push_clock(5 * MS);
    assert_eq!(exhaust(&mut stream), [(9, None)]);
    let counts = stream.gauge().snapshot().counts;
    assert!(counts.balances());
    assert_eq!((counts.delivered, counts.lost(DropReason::Expired)), (2, 2));
}

#[test]
fn c2_taking_the_stream_apart_and_dropping_it_lose_nothing_uncounted() {
    let runtime = paused();
    let _guard = runtime.enter();
    for apart in [false, true] {
        let config = BackpressureConfig::builder().capacity(8).max_age(100 * MS).build().unwrap();
        let mut stream = Script::ready(0..6).backpressure(config);
        let gauge = stream.gauge();
        assert_eq!(poll_once(&mut stream), Poll::Ready(Some(0)));
        push_clock(100 * MS);
        let rest = if apart {
            stream.into_remainder().len() as u64
        } else {
            drop(stream);
            0
        };
        let counts = gauge.snapshot().counts;
        assert!(counts.balances());
        assert_eq!((counts.delivered, counts.queued), (1 + rest, 0));
        assert_eq!(counts.delivered + counts.dropped(), 6, "{counts}");
    }
}

#[tokio::test(start_paused = true)]
async fn e1_in_a_task_of_its_own_the_bound_is_the_same() {
    let config = BackpressureConfig::builder().capacity(8).max_age(100 * MS).build().unwrap();
    let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    let upstream = futures_util::stream::unfold(rx, async |mut rx| Some((rx.recv().await?, rx)));
    let mut stream = upstream.backpressure(config).spawn();
    (0..4).for_each(|item| tx.send(item).unwrap());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stream.gauge().snapshot().counts.queued, 4);
    tokio::time::advance(100 * MS).await;
    tx.send(4).unwrap();
    assert_eq!(stream.next().await, Some(4));
    assert_eq!(stream.gauge().snapshot().counts.lost(DropReason::Expired), 4);
}
