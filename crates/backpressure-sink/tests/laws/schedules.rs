//! Random schedules of polls, and futures' own `buffer` beside ours.

use std::task::Poll;

use backpressure_sink::BackpressureSinkExt;
use futures_util::SinkExt;
use proptest::prelude::*;

use crate::kit::{Poke, Probe, Stage, Task, config};

#[derive(Debug, Clone, Copy)]
enum Step {
    Offer,
    Ready,
    Flush,
    Room(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => Just(Step::Offer),
        1 => Just(Step::Ready),
        1 => Just(Step::Flush),
        3 => (1usize..5).prop_map(Step::Room),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn i1_d1_under_block_the_output_is_the_input_for_every_schedule(steps in steps(), capacity in 1usize..8) {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = probe.clone().bounded(config(|c| c.capacity(capacity)));
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Offer => sent += usize::from(sink.offer(sent, &task).is_ready()),
                Step::Ready => { let _ = sink.ready(&task); }
                Step::Flush => { let _ = sink.flush_once(&task); }
                Step::Room(room) => probe.make_room(room),
            }
            prop_assert!(probe.got().into_iter().enumerate().all(|(at, item)| at == item));
            prop_assert_eq!(probe.got().len() as u64 + sink.gauge().snapshot().counts.queued, sent as u64);
        }
        probe.make_room(usize::MAX);
        prop_assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
        prop_assert_eq!(probe.got(), (0..sent).collect::<Vec<_>>());
        prop_assert_eq!(probe.attempts(Stage::Close), 1);
        prop_assert_eq!(&probe.script().offences, &[""; 0]);
    }

    /// Where futures' `buffer` is right: nothing fails, and there is something to flush. It keeps an item until the next poll
    /// that ours gives to a ready sink at once, so ours may be ahead.
    #[test]
    fn i1_answers_and_output_are_those_of_futures_buffer(steps in steps(), capacity in 1usize..8) {
        let task = Task::new();
        let (probe, peer_probe) = (Probe::with_room(0), Probe::with_room(0));
        let mut sink = probe.clone().bounded(config(|c| c.capacity(capacity)));
        let mut peer = peer_probe.clone().buffer(capacity);
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Offer => {
                    let (ours, theirs) = (sink.offer(sent, &task), peer.offer(sent, &task));
                    prop_assert_eq!(ours.is_ready(), theirs.is_ready());
                    sent += usize::from(ours.is_ready());
                }
                Step::Ready => prop_assert_eq!(sink.ready(&task).is_ready(), peer.ready(&task).is_ready()),
                Step::Flush if sink.gauge().snapshot().counts.queued == 0 => {}
                Step::Flush => {
                    // Theirs wants to see the inner sink ready once more although nothing is left to send.
                    let (ours, theirs) = (sink.flush_once(&task), peer.flush_once(&task));
                    prop_assert!(ours.is_ready() || theirs.is_pending());
                }
                Step::Room(room) => {
                    probe.make_room(room);
                    peer_probe.make_room(room);
                }
            }
            prop_assert!(probe.got().starts_with(&peer_probe.got()));
        }
        for probe in [&probe, &peer_probe] {
            probe.make_room(usize::MAX);
        }
        prop_assert!(sink.flush_once(&task).is_ready() && peer.flush_once(&task).is_ready());
        prop_assert_eq!(probe.got(), peer_probe.got());
    }
}
