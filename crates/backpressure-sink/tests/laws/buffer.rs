//! Demand, order and wakes of a [`BackpressureSink`].

use std::task::Poll;
use std::time::Duration;

use backpressure_core::{Oversize, Priority, State, Strategy};
use backpressure_sink::{BackpressureSink, BackpressureSinkError, BackpressureSinkExt};
use futures_util::{SinkExt, StreamExt, stream};

use crate::kit::{Poke, Probe, Stage, Task, config, poll};

fn sink<T>(probe: &Probe<T>, capacity: usize, strategy: Strategy) -> BackpressureSink<Probe<T>, T> {
    probe.clone().bounded(config(|c| c.capacity(capacity).strategy(strategy)))
}

#[test]
fn d1_the_inner_sink_is_asked_only_when_there_is_an_item_for_it() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = sink(&probe, 4, Strategy::block());
    for _ in 0..3 {
        assert!(sink.ready(&task).is_ready());
    }
    assert_eq!(probe.attempts(Stage::Ready), 0, "no readiness is hoarded for an empty buffer");
    sink.start('a').unwrap();
    assert!(sink.ready(&task).is_ready());
    assert_eq!((probe.attempts(Stage::Ready), probe.got().len()), (1, 1));
    probe.assert_lawful();
}

#[test]
fn d2_a_stalled_sink_pulls_no_more_from_upstream_than_it_has_room_for() {
    let (probe, task) = (Probe::with_room(3), Task::new());
    let pulled = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = std::rc::Rc::clone(&pulled);
    let source = stream::iter(0..1000).inspect(move |_| counter.set(counter.get() + 1));
    let mut forward = source.map(Ok).forward(sink(&probe, 4, Strategy::block()));

    assert!(poll(&mut forward, &task).is_pending());
    assert_eq!(pulled.get(), 3 + 4 + 1, "delivered, buffered, and the one that `forward` holds");
    let polls = probe.polls();
    assert_eq!((task.wakes(), probe.polls()), (0, polls), "nothing spins");

    probe.make_room(2);
    assert_eq!(task.wakes(), 1);
    assert!(poll(&mut forward, &task).is_pending());
    assert_eq!(pulled.get(), 5 + 4 + 1);
    probe.make_room(usize::MAX);
    assert_eq!(poll_to_end(&mut forward, &task), Ok(()));
    assert_eq!(probe.got(), (0..1000).collect::<Vec<_>>());
    probe.assert_lawful();
}

/// Polls whenever woken.
fn poll_to_end<F: Future + Unpin>(future: &mut F, task: &std::sync::Arc<Task>) -> F::Output {
    loop {
        if let Poll::Ready(output) = poll(future, task) {
            return output;
        }
        assert!(task.wakes() > 0, "pending, and nobody wakes");
    }
}

#[test]
fn d3_a_heavy_item_waits_outside_the_weight_bound() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let limits = config(|c| c.capacity(10).max_weight(10));
    let mut sink = probe.clone().bounded(limits).weigh_by(|weight: &usize| *weight);
    let gauge = sink.gauge();
    for weight in [4, 5] {
        assert!(sink.offer(weight, &task).is_ready());
    }
    assert_eq!(sink.offer(3, &task), Poll::Ready(Ok(())), "ready, for there is room for one unit");
    assert_eq!((gauge.snapshot().weight, gauge.snapshot().counts.queued), (9, 2));
    assert_eq!(gauge.snapshot().producers_waiting, 1);
    assert!(sink.ready(&task).is_pending(), "nothing overtakes it");
    assert_eq!(gauge.state(), State::Blocked, "although a tenth of the bound is free");
    assert_eq!(sink.start(1), Err(BackpressureSinkError::Full(1)));

    probe.make_room(1);
    assert!(sink.ready(&task).is_ready());
    assert_eq!((gauge.snapshot().weight, gauge.snapshot().producers_waiting), (8, 0));
    assert_eq!(gauge.state(), State::Critical);
    probe.make_room(9);
    assert!(sink.close_once(&task).is_ready());
    assert_eq!(probe.got(), [4, 5, 3]);
}

#[test]
fn d3_at_the_weight_bound_the_sink_is_not_ready_at_all() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let limits = config(|c| c.capacity(10).max_weight(10));
    let mut sink = probe.clone().bounded(limits).weigh_bytes();
    assert!(sink.offer("0123456789", &task).is_ready());
    assert!(sink.ready(&task).is_pending());
    assert_eq!(sink.gauge().state(), State::Blocked);
}

#[test]
fn d3_an_oversize_item_goes_alone_or_comes_back() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let limits = config(|c| c.capacity(10).max_weight(3));
    let mut sink = probe.clone().bounded(limits).weigh_bytes();
    assert!(sink.offer("ab", &task).is_ready());
    assert!(sink.offer("oversize", &task).is_ready());
    assert_eq!(sink.gauge().snapshot().weight, 2);
    probe.make_room(1);
    assert!(sink.ready(&task).is_pending());
    assert_eq!(sink.gauge().snapshot().weight, 8, "alone in the buffer");
    assert_eq!(sink.gauge().snapshot().counts.queued, 1);

    let limits = config(|c| c.capacity(10).max_weight(3).oversize(Oversize::Refuse));
    let mut sink = probe.bounded(limits).weigh_bytes();
    assert_eq!(
        sink.offer("oversize", &task).map_err(BackpressureSinkError::into_item),
        Poll::Ready(Err(Some("oversize")))
    );
    assert!(sink.ready(&task).is_ready(), "the sink goes on");
}

#[test]
fn d4_ready_means_that_the_next_item_is_taken() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = sink(&probe, 2, Strategy::block());
    for item in 0..2 {
        for _ in 0..10 {
            assert!(sink.ready(&task).is_ready());
        }
        sink.start(item).unwrap();
    }
    assert!(sink.ready(&task).is_pending());
    assert_eq!(sink.gauge().snapshot().counts.queued, 2);
}

#[test]
fn d4_a_start_without_readiness_hands_the_item_back() {
    let probe = Probe::with_room(0);
    let mut sink = sink(&probe, 1, Strategy::block());
    sink.start('a').unwrap();
    assert_eq!(sink.start('b'), Err(BackpressureSinkError::Full('b')));
    assert_eq!(sink.gauge().snapshot().counts.rejected, 1);
}

#[test]
fn d5_one_poll_moves_a_bounded_number_of_items_and_wakes_itself_for_the_rest() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = sink(&probe, 1000, Strategy::block());
    for item in 0..1000 {
        assert!(sink.offer(item, &task).is_ready());
    }
    probe.make_room(usize::MAX);
    task.wakes();
    let mut polls = 1;
    while sink.flush_once(&task).is_pending() {
        assert_eq!(task.wakes(), 1);
        assert!(probe.got().len() <= 64 * polls);
        polls += 1;
    }
    assert_eq!((polls, probe.got().len()), (1000_usize.div_ceil(64), 1000));
    assert_eq!(task.wakes(), 0);
}

#[test]
fn d6_extremes_neither_overflow_nor_spin() {
    let (probe, task) = (Probe::with_room(1), Task::new());
    let limits = config(|c| {
        let strategy = Strategy::Block { max_wait: Duration::MAX };
        c.capacity(usize::MAX).max_weight(usize::MAX).strategy(strategy)
    });
    let mut sink = probe.clone().bounded(limits).weigh_by(|weight: &usize| *weight);
    for weight in [usize::MAX, usize::MAX, 0, usize::MAX] {
        if sink.ready(&task).is_ready() {
            sink.start(weight).unwrap();
        }
    }
    probe.make_room(usize::MAX);
    assert!(sink.close_once(&task).is_ready());
    assert_eq!(sink.gauge().snapshot().weight, 0);
}

#[test]
fn o2_oldest_or_newest_are_dropped_and_the_rest_stays_in_order() {
    let task = Task::new();
    for (strategy, kept) in [(Strategy::DropOldest, [7, 8, 9]), (Strategy::DropNewest, [0, 1, 2])] {
        let probe = Probe::with_room(0);
        let mut sink = sink(&probe, 3, strategy);
        for item in 0..10 {
            assert_eq!(sink.offer(item, &task), Poll::Ready(Ok(())), "{strategy} never waits");
        }
        probe.make_room(10);
        assert!(sink.flush_once(&task).is_ready());
        assert_eq!(probe.got(), kept);
    }
}

#[test]
fn o3_important_items_go_first_and_the_least_important_are_dropped() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let limits = config(|c| c.capacity(3).strategy(Strategy::DropLowest));
    let mut sink = probe.clone().bounded(limits).rank_by(|item: &(u8, char)| Priority::new(item.0));
    for item in [(1, 'a'), (5, 'b'), (1, 'c'), (5, 'd'), (0, 'e')] {
        assert!(sink.offer(item, &task).is_ready());
    }
    probe.make_room(10);
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(probe.got(), [(5, 'b'), (5, 'd'), (1, 'a')]);
}

#[test]
fn what_is_queued_before_there_are_ranks_ranks_normal() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = sink(&probe, 4, Strategy::block());
    assert!(sink.offer(1, &task).is_ready());
    let mut sink = sink.rank_by(|item| Priority::new(*item));
    assert!(sink.offer(7, &task).is_ready());
    assert!(sink.offer(2, &task).is_ready());
    probe.make_room(3);
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(probe.got(), [7, 1, 2]);
    assert!(sink.gauge().snapshot().counts.balances());
}

#[test]
fn closures_that_come_late_see_every_item_from_then_on() {
    let (probe, task) = (Probe::ready(), Task::new());
    let (asked, all_asked) = std::sync::mpsc::channel();
    let (weighs, ranks) = (asked.clone(), asked);
    let mut sink = sink(&probe, 4, Strategy::block());
    assert!(sink.offer(1, &task).is_ready());
    let mut sink = sink.weigh_by(move |item| {
        weighs.send(("weigh", *item)).unwrap();
        1
    });
    assert!(sink.offer(2, &task).is_ready() && sink.offer(3, &task).is_ready());
    let mut sink = sink.rank_by(move |item| {
        ranks.send(("rank", *item)).unwrap();
        Priority::NORMAL
    });
    assert!(sink.offer(4, &task).is_ready());
    assert_eq!(all_asked.try_iter().collect::<Vec<_>>(), [("weigh", 2), ("weigh", 3), ("weigh", 4), ("rank", 4)]);
    assert_eq!(probe.got(), [1, 2, 3, 4]);
}

#[test]
fn an_item_goes_straight_on_again_once_nothing_is_in_its_way() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = sink(&probe, 4, Strategy::block());
    assert!(sink.offer('a', &task).is_ready() && sink.offer('b', &task).is_ready());
    probe.make_room(9);
    assert!(sink.ready(&task).is_ready());
    sink.start('c').unwrap();
    assert_eq!(probe.got(), ['a', 'b', 'c'], "after what was queued");
    probe.script().flushes = false;
    assert!(sink.flush_once(&task).is_pending());
    sink.start('d').unwrap();
    assert_eq!(probe.got(), ['a', 'b', 'c'], "somebody waits for the inner sink");
    probe.script().flushes = true;
    assert!(sink.flush_once(&task).is_ready());
    assert!(sink.offer('e', &task).is_ready());
    assert_eq!(probe.got(), ['a', 'b', 'c', 'd', 'e']);
    probe.assert_lawful();
}

#[test]
fn reject_hands_the_item_back_and_goes_on() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = sink(&probe, 1, Strategy::Reject);
    assert!(sink.offer('a', &task).is_ready());
    assert!(sink.ready(&task).is_ready());
    assert_eq!(sink.start('b'), Err(BackpressureSinkError::Full('b')));
    probe.make_room(2);
    assert_eq!(sink.offer('c', &task), Poll::Ready(Ok(())));
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(probe.got(), ['a', 'c']);
}

#[test]
fn w1_the_latest_task_is_the_one_that_is_woken() {
    let (probe, first, second) = (Probe::with_room(0), Task::new(), Task::new());
    let mut sink = sink(&probe, 1, Strategy::block());
    assert!(sink.offer('a', &first).is_ready());
    assert!(sink.ready(&first).is_pending());
    assert!(sink.ready(&second).is_pending());
    probe.make_room(1);
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    assert!(sink.ready(&second).is_ready());
}

#[test]
fn an_item_with_nothing_ahead_of_it_goes_straight_to_a_sink_that_is_ready() {
    let (probe, task) = (Probe::with_room(2), Task::new());
    let mut sink = sink(&probe, 1, Strategy::block());
    for item in ['a', 'b', 'c'] {
        assert!(sink.offer(item, &task).is_ready());
    }
    assert_eq!(probe.got(), ['a', 'b']);
    let counts = sink.gauge().snapshot().counts;
    assert_eq!((counts.received, counts.delivered, counts.queued), (3, 2, 1));
    assert_eq!(sink.gauge().state(), State::Blocked);
}

#[test]
fn m1_with_ranks_too_an_item_that_went_straight_on_is_not_the_oldest_queued() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = sink(&probe, 4, Strategy::block()).rank_by(|item| Priority::new(*item));
    assert_eq!(sink.gauge().snapshot().oldest_age, None);
    assert!(sink.offer(1, &task).is_ready());
    assert!(sink.gauge().snapshot().oldest_age.is_some());
    probe.make_room(2);
    assert!(sink.flush_once(&task).is_ready());
    assert!(sink.offer(1, &task).is_ready());
    let snapshot = sink.gauge().snapshot();
    assert_eq!((snapshot.counts.queued, snapshot.oldest_age), (0, None));
}

#[test]
fn w1_an_offer_takes_the_wake_from_nobody_who_waits_for_the_inner_sink() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = sink(&probe, 2, Strategy::block());
    assert!(sink.offer('a', &task).is_ready());
    probe.script().flushes = false;
    assert!(sink.flush_once(&task).is_pending());
    probe.script().room = 0;
    let polls = probe.script().polls;
    sink.start('b').unwrap();
    assert_eq!(probe.script().polls, polls, "the waker of the flush is still in place");
    probe.make_room(1);
    assert_eq!(task.wakes(), 1);
}

#[test]
fn w3_over_a_sink_that_never_answers_nothing_wakes_itself() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    probe.script().silent = true;
    let mut sink = sink(&probe, 1, Strategy::block());
    assert!(sink.offer('a', &task).is_ready());
    for _ in 0..10 {
        assert!(sink.ready(&task).is_pending());
        assert!(sink.flush_once(&task).is_pending());
    }
    assert!((0..10).all(|_| sink.close_once(&task).is_pending()));
    assert_eq!(task.wakes(), 0);
}

#[test]
fn i3_a_flush_reaches_through_and_with_nothing_to_flush_it_is_ready() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = sink(&probe, 4, Strategy::block());
    assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(probe.attempts(Stage::Flush), 1, "what the inner sink holds of its own is flushed");
    assert_eq!(probe.attempts(Stage::Ready), 0);

    sink.start('a').unwrap();
    probe.script().flushes = false;
    assert!(sink.flush_once(&task).is_pending());
    assert_eq!(probe.got(), ['a'], "and the wait is for the inner sink alone");
    probe.script().flushes = true;
    assert!(sink.flush_once(&task).is_ready());
}

#[test]
fn the_state_tells_how_full_the_buffer_is_and_wakes_who_watches() {
    let (probe, task, watcher) = (Probe::with_room(0), Task::new(), Task::new());
    let mut sink = sink(&probe, 4, Strategy::block());
    let gauge = sink.gauge();
    let mut changed = gauge.changed();
    assert!(poll(&mut changed, &watcher).is_pending());
    for (item, state) in [State::Normal, State::Elevated, State::Elevated, State::Blocked].into_iter().enumerate() {
        assert!(sink.offer(item, &task).is_ready());
        assert_eq!(gauge.state(), state);
    }
    assert_eq!(watcher.wakes(), 1);
    assert_eq!(poll(&mut changed, &watcher), Poll::Ready(State::Blocked));
    probe.make_room(usize::MAX);
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(gauge.state(), State::Normal);
}

#[tokio::test]
async fn the_usual_combinators_work_on_it() {
    let mut sink = Vec::new().bounded(config(|c| c.capacity(3)));
    sink.send(1).await.unwrap();
    sink.send_all(&mut stream::iter(2..10).map(Ok)).await.unwrap();
    sink.close().await.unwrap();
    let (inner, remainder) = sink.into_parts();
    assert_eq!((inner, remainder), ((1..10).collect(), vec![]));
}

#[test]
fn the_stream_side_of_an_inner_part_shows_through() {
    let (duplex, _other) = tokio::io::duplex(64);
    let framed = tokio_util::codec::Framed::new(duplex, tokio_util::codec::LinesCodec::new());
    let both = BackpressureSink::<_, String>::new(framed, config(|c| c.capacity(3)));
    fn is_stream(_: &impl futures_core::Stream) {}
    is_stream(&both);
}
