//! Close, failure, drop, and futures that are given up.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use backpressure_core::State;
use backpressure_sink::{BackpressureSinkError, BackpressureSinkExt};
use futures_util::SinkExt;

use crate::kit::{Broken, Poke, Probe, STAGES, Stage, Task, assert_balanced, config, poll};

#[test]
fn t1_close_delivers_everything_and_closes_the_inner_sink_once() {
    let (probe, task) = (Probe::with_room(1), Task::new());
    let mut sink = probe.clone().bounded(config(|c| c.capacity(4)));
    for item in 0..4 {
        assert!(sink.offer(item, &task).is_ready());
    }
    assert!(sink.close_once(&task).is_pending());
    assert_eq!(sink.gauge().state(), State::Draining);
    assert_eq!(probe.attempts(Stage::Close), 0, "not before everything is delivered");
    probe.make_room(9);
    for _ in 0..3 {
        assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    }
    assert_eq!((probe.attempts(Stage::Close), probe.got().len()), (1, 4));
    assert_eq!(sink.gauge().state(), State::Draining);
    probe.assert_lawful();
}

#[test]
fn t2_t5_after_close_nothing_reaches_the_inner_sink_and_items_come_back() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = probe.clone().bounded(config(|c| c.capacity(4)));
    assert!(sink.close_once(&task).is_ready());
    let polls = probe.polls();
    assert_eq!(sink.ready(&task), Poll::Ready(Err(BackpressureSinkError::Closed(None))));
    assert_eq!(sink.start('a'), Err(BackpressureSinkError::Closed(Some('a'))));
    assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    assert_eq!((probe.polls(), probe.got().len()), (polls, 0));
    assert_eq!(sink.gauge().snapshot().counts.rejected, 1);
}

#[test]
fn t5_an_offer_while_the_sink_drains_comes_back() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.bounded(config(|c| c.capacity(4)));
    assert!(sink.offer('a', &task).is_ready());
    assert!(sink.close_once(&task).is_pending());
    assert_eq!(sink.start('b'), Err(BackpressureSinkError::Closed(Some('b'))));
    assert_eq!(sink.take_remainder(), ['a']);
}

/// Ten items are queued; the inner sink then fails at one attempt of one stage.
#[test]
fn t3_an_error_surfaces_once_tells_what_it_cost_and_costs_nothing_else() {
    const ITEMS: usize = 10;
    for stage in STAGES {
        for k in 0..if stage == Stage::Ready || stage == Stage::Send { ITEMS } else { 1 } {
            let (probe, task) = (Probe::with_room(0), Task::new());
            let mut sink = probe.clone().bounded(config(|c| c.capacity(ITEMS)));
            for item in 0..ITEMS {
                assert!(sink.offer(item, &task).is_ready());
            }
            probe.script().fails = Some((stage, k));
            probe.make_room(usize::MAX);

            let mut errors = Vec::new();
            while let Poll::Ready(Err(error)) = sink.flush_once(&task) {
                errors.push(error);
            }
            while let Poll::Ready(Err(error)) = sink.close_once(&task) {
                errors.push(error);
            }
            let (lost, in_doubt) = match stage {
                Stage::Ready => (0, k),
                Stage::Send => (1, k),
                Stage::Flush => (0, ITEMS),
                Stage::Close => (0, 0),
            };
            let expected = BackpressureSinkError::Inner { source: Broken(stage), lost, in_doubt };
            assert_eq!(errors, [expected], "{stage:?} {k}");

            let survivors: Vec<_> = (0..ITEMS).filter(|item| !(stage == Stage::Send && *item == k)).collect();
            assert_eq!(probe.got(), survivors, "{stage:?} {k}");
            assert_eq!(sink.gauge().snapshot().counts.failed(), lost as u64);
            assert_balanced(&sink.gauge());
            assert_eq!(probe.attempts(Stage::Close), 1, "{stage:?} {k}");
            probe.assert_lawful();
        }
    }
}

#[test]
fn t3_an_error_of_a_sink_that_is_ready_surfaces_on_the_item_it_belongs_to() {
    const ITEMS: usize = 10;
    for stage in [Stage::Ready, Stage::Send] {
        for k in 0..ITEMS {
            let (probe, task) = (Probe::ready(), Task::new());
            let mut sink = probe.clone().bounded(config(|c| c.capacity(ITEMS)));
            probe.script().fails = Some((stage, k));
            let lost = usize::from(stage == Stage::Send);
            let error = BackpressureSinkError::Inner { source: Broken(stage), lost, in_doubt: k };
            for item in 0..ITEMS {
                let expected = if item == k { Err(error) } else { Ok(()) };
                assert_eq!(sink.offer(item, &task), Poll::Ready(expected), "{stage:?} {k}");
            }
            assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
            let survivors: Vec<_> = (0..ITEMS).filter(|item| !(stage == Stage::Send && *item == k)).collect();
            assert_eq!(probe.got(), survivors, "{stage:?} {k}");
            assert_eq!(sink.gauge().snapshot().counts.failed(), lost as u64);
            assert_balanced(&sink.gauge());
            probe.assert_lawful();
        }
    }
}

#[test]
fn t3_after_an_error_the_rest_can_be_taken_back() {
    const ITEMS: usize = 10;
    for k in 0..ITEMS {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = probe.clone().bounded(config(|c| c.capacity(ITEMS)));
        for item in 0..ITEMS {
            assert!(sink.offer(item, &task).is_ready());
        }
        probe.script().fails = Some((Stage::Send, k));
        probe.make_room(usize::MAX);
        assert!(matches!(sink.flush_once(&task), Poll::Ready(Err(BackpressureSinkError::Inner { lost: 1, .. }))));
        let gauge = sink.gauge();
        let (inner, remainder) = sink.into_parts();
        assert_eq!(inner.got(), (0..k).collect::<Vec<_>>());
        assert_eq!(remainder, (k + 1..ITEMS).collect::<Vec<_>>());
        assert_balanced(&gauge);
    }
}

#[test]
fn t3_the_remainder_ends_with_the_item_that_was_too_heavy_to_enter() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.bounded(config(|c| c.capacity(9).max_weight(5))).weigh_bytes();
    for item in ["ab", "c", "heavy"] {
        assert!(sink.offer(item, &task).is_ready());
    }
    let gauge = sink.gauge();
    assert_eq!(sink.take_remainder(), ["ab", "c", "heavy"]);
    assert!(sink.ready(&task).is_ready(), "and the sink is empty");
    assert_eq!(gauge.snapshot().producers_waiting, 0);
    assert_balanced(&gauge);
}

#[test]
fn t6_dropping_the_sink_keeps_nothing_alive() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let item = Rc::new(());
    let mut sink = probe.bounded(config(|c| c.capacity(4)));
    let gauge = sink.gauge();
    for _ in 0..4 {
        assert!(sink.offer(Rc::clone(&item), &task).is_ready());
    }
    drop(sink);
    assert_eq!(Rc::strong_count(&item), 1);
    assert_eq!(gauge.state(), State::Draining);
    assert_balanced(&gauge);
}

/// `flush`, `close` and `send` are given up after each of their polls in turn.
#[test]
fn x2_a_future_given_up_at_any_await_loses_nothing() {
    for polls in 0..6 {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = probe.clone().bounded(config(|c| c.capacity(2)));
        for item in 0..2 {
            assert!(sink.offer(item, &task).is_ready());
        }
        give_up_after(polls, sink.send(2), || probe.make_room(1), &task);
        give_up_after(polls, sink.flush(), || {}, &task);
        give_up_after(1, sink.close(), || {}, &task);
        probe.make_room(usize::MAX);
        assert_eq!(poll(&mut sink.close(), &task), Poll::Ready(Ok(())));
        let expected = if polls < 2 { &[0, 1][..] } else { &[0, 1, 2] };
        assert_eq!(probe.got(), expected, "the third was accepted at the second poll");
        assert_balanced(&sink.gauge());
    }
}

fn give_up_after(polls: usize, mut future: impl Future + Unpin, between: impl Fn(), task: &Arc<Task>) {
    for _ in 0..polls {
        if poll(&mut future, task).is_ready() {
            return;
        }
        between();
    }
}
