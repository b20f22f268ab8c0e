//! A sink whose bounds and strategy change while it is in use, beside a model of it: hand-driven polls, in any order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use backpressure_core::{BackpressureConfig, DropReason, State, Strategy};
use backpressure_sink::{BackpressureSinkError, BackpressureSinkExt};
use proptest::prelude::{Strategy as _, *};

use crate::kit::{Poke, Probe, Task, config};

type Bounds = (usize, Strategy);

#[derive(Debug, Clone, Copy)]
enum Step {
    Ready,
    Offer,
    Flush,
    Room(usize),
    Reconfigure(Bounds),
}

fn bounds() -> impl proptest::strategy::Strategy<Value = Bounds> {
    let strategy = prop::sample::select(vec![
        Strategy::block(),
        Strategy::block(),
        Strategy::DropOldest,
        Strategy::DropNewest,
        Strategy::DropLowest,
        Strategy::Reject,
    ]);
    (1usize..8, strategy)
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Ready),
        8 => Just(Step::Offer),
        1 => Just(Step::Flush),
        3 => (1usize..4).prop_map(Step::Room),
        2 => bounds().prop_map(Step::Reconfigure),
    ];
    prop::collection::vec(step, 1..200)
}

fn limits((capacity, strategy): Bounds) -> BackpressureConfig {
    config(|c| c.capacity(capacity).batch_items(1).strategy(strategy))
}

/// What the sink should hold, and what should have become of the rest.
struct Model {
    bounds: Bounds,
    /// What was left for the sink and it has not taken.
    left: Option<Bounds>,
    queue: VecDeque<u32>,
    room: usize,
    got: Vec<u32>,
    lost: Vec<(u32, DropReason)>,
    back: Vec<u32>,
}

impl Model {
    fn deliver(&mut self) {
        let going = self.queue.len().min(self.room);
        self.room -= going;
        self.got.extend(self.queue.drain(..going));
    }

    /// Whether the sink is ready, once it has taken what was left for it and moved what it could.
    fn ready(&mut self) -> bool {
        self.bounds = self.left.take().unwrap_or(self.bounds);
        self.deliver();
        let (capacity, strategy) = self.bounds;
        self.queue.len() < capacity || !matches!(strategy, Strategy::Block { .. })
    }

    fn send(&mut self, item: u32) {
        let (capacity, strategy) = self.bounds;
        if self.queue.is_empty() && self.room > 0 {
            self.room -= 1;
            self.got.push(item);
        } else if self.queue.len() < capacity {
            self.queue.push_back(item);
        } else {
            match strategy {
                Strategy::DropOldest => {
                    let evicted = self.queue.drain(..self.queue.len() + 1 - capacity);
                    self.lost.extend(evicted.map(|item| (item, DropReason::Evicted)));
                    self.queue.push_back(item);
                }
                Strategy::Reject => self.back.push(item),
                _ => self.lost.push((item, DropReason::Overflow)),
            }
        }
    }
}

proptest! {
    #[test]
    fn r1_r2_r3_c1_c3_d1_it_does_what_its_model_does_under_any_change(first in bounds(), steps in steps()) {
        let (probe, task, lost) = (Probe::with_room(0), Task::new(), Arc::new(Mutex::new(Vec::new())));
        let hook = Arc::clone(&lost);
        let mut sink = probe.clone().bounded(limits(first)).on_drop(move |item, why| hook.lock().unwrap().push((item, why)));
        let (handle, gauge) = (sink.handle(), sink.gauge());
        let (queue, got) = (VecDeque::new(), Vec::new());
        let mut model = Model { bounds: first, left: None, queue, room: 0, got, lost: Vec::new(), back: Vec::new() };
        let (mut sent, mut back, mut waits) = (0, Vec::new(), false);
        for step in steps {
            match step {
                Step::Ready => {
                    let ready = sink.ready(&task).is_ready();
                    prop_assert_eq!(ready, model.ready());
                    waits = !ready;
                }
                Step::Offer => {
                    let polled = sink.ready(&task);
                    prop_assert_eq!(polled.is_ready(), model.ready());
                    waits = polled.is_pending();
                    if polled.is_ready() {
                        if let Err(error) = sink.start(sent) {
                            prop_assert!(matches!(error, BackpressureSinkError::Full(_)), "{:?}", error);
                            back.extend(error.into_item());
                        }
                        model.send(sent);
                        sent += 1;
                    }
                }
                Step::Flush => {
                    let flushed = sink.flush_once(&task);
                    model.deliver();
                    prop_assert_eq!(flushed.is_ready(), model.queue.is_empty());
                }
                Step::Room(room) => {
                    probe.make_room(room);
                    model.room += room;
                }
                Step::Reconfigure(bounds) => {
                    task.wakes();
                    prop_assert_eq!(handle.reconfigure(limits(bounds)), Ok(()));
                    prop_assert!(!waits || task.wakes() == 1, "r3: who waits is woken, once");
                    model.left = Some(bounds);
                    waits = false;
                }
            }
            let snapshot = gauge.snapshot();
            prop_assert!(snapshot.counts.balances(), "{:?}", snapshot.counts);
            prop_assert_eq!((snapshot.capacity, snapshot.strategy), model.bounds);
            prop_assert!(model.queue.len() < model.bounds.0 || snapshot.state == State::Blocked, "{}", snapshot.state);
            prop_assert_eq!(snapshot.counts.queued as usize, model.queue.len());
            prop_assert_eq!(&probe.script().got, &model.got);
            prop_assert_eq!(&*lost.lock().unwrap(), &model.lost);
            prop_assert_eq!(&back, &model.back);
        }
        prop_assert_eq!(sink.take_remainder(), Vec::from(model.queue));
        let counts = gauge.snapshot().counts;
        prop_assert_eq!((counts.received, counts.rejected), (u64::from(sent), back.len() as u64));
        prop_assert_eq!(&probe.script().offences, &[""; 0]);
    }
}
