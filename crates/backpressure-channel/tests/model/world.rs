//! A channel and its model, side by side.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use backpressure_channel::{Builder, ChannelHandle, Demand, Receiver, Sender};
use backpressure_core::{BackpressureConfig, DropReason, Gauge, Oversize, Priority};

use crate::item::{Fates, Item, answer};
use crate::model::{Answer, Fate, Key, Model};
use crate::sinks::Sink;
use crate::steps::{Load, PRODUCERS, Rules, SINKS, Step};
use crate::support::{Wakes, balanced, built, config, ignore};
use crate::tasks::{Task, refused};

fn configured(rules: Rules) -> BackpressureConfig {
    let limits = config(rules.capacity, rules.strategy).oversize(rules.oversize);
    let limits = rules.max_weight.map_or(limits.clone(), |max| limits.max_weight(max));
    built(if rules.expiring.0 { limits.max_age(Duration::MAX) } else { limits })
}

pub(crate) struct World {
    model: Model,
    fates: Fates,
    gauge: Gauge,
    producers: Vec<Option<Rc<Sender<Item>>>>,
    tasks: Vec<Task>,
    sinks: Vec<Option<Sink>>,
    receiver: Option<Receiver<Item>>,
    receiver_wakes: Wakes,
    keys: Key,
    handle: ChannelHandle<Item>,
    /// What was held, and what it weighed, at the last look.
    held: Cell<(usize, usize)>,
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        let builder = Builder::new(configured(rules))
            .weigh_by(|item: &Item| item.load.weight)
            .on_drop(|item, reason| ignore(item.meets(Fate::Lost(reason))));
        let builder = if rules.expiring.1 { builder.expires_by(|_| None) } else { builder };
        let builder = if rules.ranked { builder.rank_by(|item| Priority::new(item.load.rank)) } else { builder };
        let (tx, rx) = builder.build();
        Self {
            model: Model::new(rules, PRODUCERS + SINKS),
            fates: Fates::default(),
            gauge: rx.gauge(),
            producers: (0..PRODUCERS).map(|_| Some(Rc::new(tx.clone()))).collect(),
            tasks: Vec::new(),
            sinks: (0..SINKS).map(|key| Some(Sink::new(key, tx.clone()))).collect(),
            receiver: Some(rx),
            receiver_wakes: Wakes::default(),
            keys: SINKS,
            handle: tx.handle(),
            held: Cell::default(),
        }
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::TrySend { producer, load } => {
                let Some(tx) = self.producers[producer].clone() else { return };
                let item = self.item(load);
                let offered = self.model.offer(item.id, load);
                let expected = self.model.reported(item.id, offered);
                assert_eq!(answer(tx.try_send(item)), expected);
            }
            Step::TryReserve { producer, send } => self.try_reserve(producer, send),
            Step::Send { producer, load } => {
                let Some(tx) = self.producers[producer].clone() else { return };
                let (item, key) = (self.item(load), self.key());
                self.begin(Task::send(key, producer, tx, item));
            }
            Step::Reserve { producer } => {
                let Some(tx) = self.producers[producer].clone() else { return };
                let key = self.key();
                self.begin(Task::reserve(key, producer, tx));
            }
            Step::Poll { task } if !self.tasks.is_empty() => self.poll(task.index(self.tasks.len())),
            Step::DropTask { task } if !self.tasks.is_empty() => {
                let task = self.tasks.swap_remove(task.index(self.tasks.len()));
                self.forget(task);
            }
            Step::Order { task, send } => {
                let holders = (0..self.tasks.len()).filter(|&i| self.tasks[i].holds_permit()).collect::<Vec<_>>();
                if !holders.is_empty() {
                    self.order(*task.get(&holders), send);
                }
            }
            Step::Poll { .. } | Step::DropTask { .. } => {}
            Step::DropProducer { producer } => {
                if self.producers[producer].take().is_some() {
                    self.note_departure(producer);
                }
            }
            Step::SinkReady { sink } => self.with_sink(sink, Sink::ready),
            Step::SinkFlush { sink } => self.with_sink(sink, Sink::flush),
            Step::SinkClose { sink } => self.with_sink(sink, Sink::close),
            Step::SinkSend { sink, load } => {
                if self.sinks[sink].is_some() {
                    let item = self.item(load);
                    self.with_sink(sink, |sink, model| sink.send(model, item));
                }
            }
            Step::DropSink { sink } => {
                if let Some(sink) = self.sinks[sink].take() {
                    sink.drop(&mut self.model);
                }
            }
            Step::Recv => self.recv(),
            Step::RecvMany { max } => self.recv_many(max),
            Step::TryRecvMany { max, max_weight } => self.try_recv_many(max, max_weight),
            Step::Ask { demand } => self.ask(demand),
            Step::Evacuate => {
                let Some(rx) = &mut self.receiver else { return };
                let reason = DropReason::DrainDeadline;
                let taken = self.model.take(usize::MAX, usize::MAX, Fate::Lost(reason));
                let meets = |item: Item| item.meets(Fate::Lost(reason));
                assert!(rx.evacuate(reason).into_iter().map(meets).eq(taken));
            }
            Step::Reconfigure { rules } => {
                let before = self.handle.config();
                let done = self.handle.reconfigure(configured(rules)).is_ok();
                assert_eq!(done, self.model.reconfigure(rules), "r1");
                assert_eq!(self.handle.config(), if done { configured(rules) } else { before }, "r1");
            }
            Step::Close => {
                if let Some(rx) = &mut self.receiver {
                    rx.close();
                    self.model.close();
                }
            }
            Step::CloseChannel { producer } => {
                if let Some(tx) = &self.producers[producer] {
                    tx.close_channel();
                    self.model.close();
                }
            }
            Step::DropReceiver => {
                if self.receiver.take().is_some() {
                    self.model.close();
                    self.model.take(usize::MAX, usize::MAX, Fate::Lost(DropReason::Closed));
                }
            }
        }
    }

    fn item(&mut self, load: Load) -> Item {
        self.model.fates.push(Fate::Open);
        self.fates.item(load)
    }

    fn key(&mut self) -> Key {
        self.keys += 1;
        self.keys
    }

    fn begin(&mut self, task: Task) {
        self.tasks.push(task);
        self.poll(self.tasks.len() - 1);
    }

    fn poll(&mut self, task: usize) {
        if self.tasks[task].poll(&mut self.model) {
            let producer = self.tasks.swap_remove(task).producer;
            self.note_departure(producer);
        }
    }

    fn forget(&mut self, task: Task) {
        let producer = task.producer;
        task.drop(&mut self.model);
        self.note_departure(producer);
    }

    /// A producer is gone once neither it nor any of its tasks is left.
    fn note_departure(&mut self, producer: usize) {
        if self.producers[producer].is_none() && self.tasks.iter().all(|task| task.producer != producer) {
            self.model.sender_leaves();
        }
    }

    fn order(&mut self, task: usize, send: Option<Load>) {
        let item = send.map(|load| self.item(load));
        self.tasks[task].order(item);
        self.poll(task);
    }

    fn try_reserve(&mut self, producer: usize, send: Option<Load>) {
        let Some(tx) = self.producers[producer].clone() else { return };
        let model = &mut self.model;
        let expected = match (model.closed, model.blocks()) {
            (true, _) => Err(Answer::Closed),
            (false, false) => Ok(false),
            (false, true) if model.nobody_in_line() && model.fits(1) => Ok(true),
            (false, true) => Err(Answer::Full),
        };
        let permit = tx.try_reserve();
        assert_eq!(permit.as_ref().err().map(refused), expected.err());
        let (Ok(permit), Some(load)) = (permit, send) else { return };
        if expected == Ok(true) {
            model.reserve(1);
            model.keep(1);
        }
        let item = self.item(load);
        let expected = self.model.use_permit(expected == Ok(true), item.id, item.load);
        assert_eq!(answer(permit.send(item)), expected);
    }

    fn with_sink(&mut self, sink: usize, act: impl FnOnce(&mut Sink, &mut Model)) {
        if let Some(sink) = &mut self.sinks[sink] {
            act(sink, &mut self.model);
        }
    }

    fn recv(&mut self) {
        let Some(rx) = &mut self.receiver else { return };
        let taken = self.model.take_one();
        let expected = match taken.first() {
            Some(&id) => Poll::Ready(Some(id)),
            None if self.model.closed => Poll::Ready(None),
            None => {
                self.model.demand = Some(Demand::ANY);
                Poll::Pending
            }
        };
        let received = self.receiver_wakes.run(|cx| rx.poll_recv(cx));
        assert_eq!(received.map(|item| item.map(|item| item.meets(Fate::Received))), expected);
    }

    fn recv_many(&mut self, max: usize) {
        let Some(rx) = &mut self.receiver else { return };
        let taken = self.model.take(max, usize::MAX, Fate::Received);
        let mut out = Vec::new();
        let received = self.receiver_wakes.run(|cx| rx.poll_recv_many(cx, &mut out, max));
        if taken.is_empty() && max > 0 && !self.model.closed {
            self.model.demand = Some(Demand::ANY);
            assert_eq!(received, Poll::Pending);
        } else {
            assert_eq!(received, Poll::Ready(taken.len()));
        }
        assert!(out.into_iter().map(|item| item.meets(Fate::Received)).eq(taken));
    }

    fn try_recv_many(&mut self, max: usize, max_weight: usize) {
        let Some(rx) = &mut self.receiver else { return };
        let taken = self.model.take(max, max_weight, Fate::Received);
        let mut out = Vec::new();
        assert_eq!(rx.try_recv_many(&mut out, max, max_weight), taken.len());
        assert!(out.into_iter().map(|item| item.meets(Fate::Received)).eq(taken));
    }

    fn ask(&mut self, demand: Demand) {
        let Some(rx) = &mut self.receiver else { return };
        let expected = self.model.meets(demand);
        if !expected {
            self.model.demand = Some(demand);
        }
        assert_eq!(self.receiver_wakes.run(|cx| rx.poll_demand(cx, demand)).is_ready(), expected);
    }

    /// The channel and the model agree on everything that can be seen.
    pub(crate) fn check(&self) {
        let model = &self.model;
        assert_eq!(self.fates.all(), model.fates);
        let count = |fate| model.fates.iter().filter(|&&met| met == fate).count() as u64;
        let snapshot = self.gauge.snapshot();
        let counts = snapshot.counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!(counts.queued, model.queue.len() as u64);
        assert_eq!((counts.delivered, counts.rejected), (count(Fate::Received), count(Fate::Returned)));
        for reason in DropReason::ALL {
            assert_eq!(counts.lost(reason), count(Fate::Lost(reason)), "{reason}");
        }

        assert_eq!((snapshot.state, snapshot.utilization), (model.state(), model.utilization()));
        assert_eq!((snapshot.capacity, snapshot.max_weight), (model.rules.capacity, model.rules.max_weight), "r1");
        assert_eq!(snapshot.strategy, model.rules.strategy, "r1");
        let held = (model.queue.len() + model.reserved, model.weight() + model.reserved_weight);
        let before = self.held.replace(held);
        assert!(held.0 <= model.rules.capacity.max(before.0), "d3, r2: above a lowered bound it only falls");
        let alone = model.rules.oversize == Oversize::AdmitAlone && held.0 == 1;
        assert!(held.1 <= model.rules.max_weight.unwrap_or(0).max(before.1) || alone, "d3, r2");
        assert_eq!(
            (snapshot.producers_waiting, snapshot.weight),
            (model.line.len(), model.weight() + model.reserved_weight)
        );
        if let Some(rx) = &self.receiver {
            let backlog = rx.backlog();
            assert_eq!((backlog.items, backlog.weight), (model.queue.len(), model.weight()));
            assert_eq!(backlog.producers_wait, !model.nobody_waits());
            assert_eq!(
                (backlog.oldest, backlog.accepted, backlog.closed),
                (model.oldest(), model.accepted, model.closed)
            );
        }

        let waiters = self.sinks.iter().flatten().map(|sink| (sink.key, &sink.wakes));
        for (key, wakes) in waiters.chain(self.tasks.iter().map(|task| (task.key, &task.wakes))) {
            assert_eq!(wakes.count(), model.wakes.get(&key).copied().unwrap_or_default(), "wakes of {key}");
        }
        assert_eq!(self.receiver_wakes.count(), model.receiver_wakes, "wakes of the receiver");
    }

    /// Everybody goes on for as long as there is a reason to: afterwards nobody waits for anything that could be had.
    pub(crate) fn come_to_rest(&mut self) {
        for permit in (0..self.tasks.len()).rev() {
            if self.tasks[permit].holds_permit() {
                self.order(permit, None);
            }
        }
        for sink in 0..SINKS {
            self.with_sink(sink, Sink::close);
        }
        loop {
            self.try_recv_many(usize::MAX, usize::MAX);
            let woken_task = self.tasks.iter().position(Task::is_woken);
            let woken_sink = self.sinks.iter().position(|sink| sink.as_ref().is_some_and(Sink::is_woken));
            match (woken_task, woken_sink) {
                (Some(task), _) => {
                    self.poll(task);
                    if self.tasks.get(task).is_some_and(Task::holds_permit) {
                        self.order(task, None);
                    }
                }
                (None, Some(sink)) => self.with_sink(sink, Sink::close),
                (None, None) => break,
            }
            self.check();
        }
        assert_eq!(self.tasks.len(), 0, "with the receiver at work or gone, nobody waits for ever");
        assert_eq!(self.gauge.snapshot().producers_waiting, 0);
    }

    /// Everybody goes.
    pub(crate) fn end(&mut self) {
        for sink in 0..SINKS {
            self.take(Step::DropSink { sink });
        }
        for producer in 0..PRODUCERS {
            self.take(Step::DropProducer { producer });
        }
        assert!(self.model.closed);
        self.recv();
        self.take(Step::DropReceiver);
        self.check();
        let counts = balanced(&self.gauge);
        assert_eq!((counts.queued, counts.in_flight, self.gauge.utilization()), (0, 0, 0.0));
        assert!(self.fates.all().iter().all(|&fate| fate != Fate::Open), "every item has met its fate");
    }
}
