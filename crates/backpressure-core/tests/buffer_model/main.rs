//! The buffer and its instruments against a model that is too simple to be wrong, step by step.

mod model;
mod steps;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use backpressure_core::{
    BackpressureConfig, BoundedBuffer, DropReason, Gauge, Moved, Offer, Oversize, Recorder, Reporter, State, Tag,
};
use model::{Answer, Item, Model};
use proptest::prelude::*;
use steps::{Setup, Step};

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Delivered,
    Rejected,
    Lost(DropReason),
}

/// The buffer, its instruments and its model, moved in step.
struct Pair {
    config: BackpressureConfig,
    buffer: BoundedBuffer<u64>,
    model: Model,
    recorder: Recorder,
    reporter: Reporter,
    gauge: Gauge,
    prioritized: bool,
    tracked: bool,
    now: Instant,
    offered: u64,
    last_taken: u64,
    held: (usize, usize),
    in_flight: Vec<u64>,
    fates: BTreeMap<u64, Fate>,
}

impl Pair {
    fn new(setup: &Setup, now: Instant) -> Self {
        let config = setup.config();
        let buffer = BoundedBuffer::new(&config);
        let buffer = if setup.dated { buffer.dated() } else { buffer };
        let recorder = Recorder::new(&config, Instant::now, setup.tracked);
        Self {
            buffer: if setup.prioritized { buffer.prioritized() } else { buffer },
            model: Model::new(&config, setup.prioritized, setup.dated),
            reporter: recorder.reporter(),
            gauge: recorder.gauge(),
            recorder,
            prioritized: setup.prioritized,
            tracked: setup.tracked,
            now,
            config,
            offered: 0,
            last_taken: 0,
            held: (0, 0),
            in_flight: Vec::new(),
            fates: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Offer(tag) => {
                let item = self.arrival(tag);
                let (real, expected) = (self.buffer.offer(item.id, tag), self.model.offer(item));
                self.conclude(real, expected);
            }
            Step::Reserve(weight) => {
                assert_eq!(self.buffer.try_reserve(weight), self.model.reserve(weight));
                self.publish(Moved::NOTHING);
            }
            Step::Fill(tag) => {
                let Some(reserved) = self.model.reserved.first().copied() else { return };
                let item = self.arrival(tag);
                let (real, expected) = (self.buffer.fill(item.id, tag, reserved), self.model.fill(item));
                if tag.weight <= reserved {
                    assert!(matches!(real, Offer::Accepted | Offer::Closed(_)), "d4: a reservation holds its slot");
                }
                self.conclude(real, expected);
            }
            Step::Release => {
                if let Some(weight) = self.model.release() {
                    self.buffer.release(weight);
                    self.publish(Moved::NOTHING);
                }
            }
            Step::Pop => {
                let item = self.buffer.pop();
                assert_eq!(item, self.model.pop());
                self.taken(item.as_slice());
            }
            Step::PopMany(max_items, max_weight) => {
                let mut items = vec![u64::MAX];
                let taken = self.buffer.pop_many(&mut items, max_items, max_weight);
                assert_eq!(items.remove(0), u64::MAX, "what was there before stays");
                assert_eq!(items, self.model.pop_many(max_items, max_weight));
                assert_eq!(items.len(), taken);
                self.taken(&items);
            }
            Step::Reconfigure(ref setup) => self.reconfigure(setup),
            Step::Settle(count, delivered) => self.settle(count, delivered),
            Step::Expire(later) => {
                let by = Duration::from_millis(later.unsigned_abs().into());
                self.now = if later < 0 { self.now - by } else { self.now + by };
                self.buffer.expire(self.now);
                self.model.expire(self.now);
            }
            Step::Close => {
                self.buffer.close();
                self.model.closed = true;
            }
        }
        self.bury();
        self.check();
    }

    fn reconfigure(&mut self, setup: &Setup) {
        let config = setup.config();
        let fixed = |config: &BackpressureConfig| (config.max_weight().is_some(), config.max_age().is_some());
        let refused = fixed(&config) != fixed(&self.config);
        assert_eq!(self.buffer.reconfigure(&config).is_err(), refused, "r1");
        if !refused {
            self.model.reconfigure(&config);
            self.config = config;
            if self.recorder.reconfigured(&self.buffer, &self.config) {
                self.reporter.notify();
            }
        }
    }

    /// Books what has expired.
    fn bury(&mut self) {
        let expired = self.buffer.take_expired();
        assert_eq!(expired, std::mem::take(&mut self.model.expired));
        self.publish(Moved::NOTHING.beside_expired(expired.len()));
        expired.into_iter().for_each(|item| self.fate(item, Fate::Lost(DropReason::Expired)));
    }

    fn arrival(&mut self, tag: Tag) -> Item {
        self.offered += 1;
        Item { id: self.offered, tag, seen: None }
    }

    /// Compares the answers, and books them as a shell does.
    fn conclude(&mut self, real: Offer<u64>, expected: Answer) {
        let real = match real {
            Offer::Accepted => Answer::Accepted(vec![]),
            Offer::AcceptedEvicting(evicted) => {
                let count = evicted.count();
                let victims: Vec<_> = evicted.into_iter().collect();
                assert_eq!(victims.len(), count);
                Answer::Accepted(victims)
            }
            Offer::Dropped(item, reason) => Answer::Dropped(item, reason),
            Offer::Full(item) => Answer::Full(item),
            Offer::Closed(item) => Answer::Closed(item),
        };
        assert_eq!(real, expected);
        match real {
            Answer::Accepted(victims) => {
                victims.iter().for_each(|&item| self.fate(item, Fate::Lost(DropReason::Evicted)));
                let moved = match victims.len() {
                    0 => Moved::NOTHING,
                    count => Moved::discarded(DropReason::Evicted, count),
                };
                self.publish(moved);
            }
            Answer::Dropped(item, reason) => {
                self.fate(item, Fate::Lost(reason));
                self.reporter.refused(reason);
                self.publish(Moved::NOTHING);
            }
            Answer::Full(item) | Answer::Closed(item) => {
                self.fate(item, Fate::Rejected);
                self.reporter.rejected();
                self.publish(Moved::NOTHING);
            }
        }
    }

    fn taken(&mut self, items: &[u64]) {
        self.publish(Moved::taken(items.len()));
        if !self.prioritized {
            for &item in items {
                assert!(item > self.last_taken, "o2: out of order");
                self.last_taken = item;
            }
        }
        if self.tracked {
            self.in_flight.extend(items);
        } else {
            items.iter().for_each(|&item| self.fate(item, Fate::Delivered));
        }
    }

    fn settle(&mut self, count: usize, delivered: bool) {
        let settled: Vec<_> = self.in_flight.drain(..count.min(self.in_flight.len())).collect();
        if delivered {
            self.reporter.delivered(settled.len());
        } else {
            self.reporter.lost(DropReason::Failed, settled.len());
        }
        let fate = if delivered { Fate::Delivered } else { Fate::Lost(DropReason::Failed) };
        settled.into_iter().for_each(|item| self.fate(item, fate));
    }

    fn fate(&mut self, item: u64, fate: Fate) {
        let before = self.fates.insert(item, fate);
        assert_eq!(before, None, "item {item} has a second fate: {fate:?}");
    }

    fn publish(&mut self, moved: Moved) {
        let before = self.gauge.state();
        let changed = self.recorder.update(&self.buffer, moved);
        assert_eq!(changed, before != self.gauge.state());
    }

    /// What holds after every step.
    fn check(&mut self) {
        let (buffer, model) = (&self.buffer, &self.model);
        assert_eq!((buffer.len(), buffer.held()), (model.items.len(), model.held()));
        assert_eq!(u128::try_from(buffer.weight()), Ok(model.queued_weight()));
        assert_eq!(u128::try_from(buffer.held_weight()), Ok(model.held_weight()));
        assert_eq!(buffer.oldest(), model.oldest());
        assert_eq!(buffer.is_closed(), model.closed);

        let (held, held_weight) = std::mem::replace(&mut self.held, (buffer.held(), buffer.held_weight()));
        assert!(buffer.held() <= self.config.capacity().max(held), "d3, r2: above a lowered bound it only falls");
        let max_weight = self.config.max_weight().unwrap_or(usize::MAX);
        let alone = self.config.oversize() == Oversize::AdmitAlone && buffer.held() == 1;
        assert!(buffer.held_weight() <= max_weight.max(held_weight) || alone, "d3, r2");

        let snapshot = self.gauge.snapshot();
        let classified = self.config.watermarks().classify(model.utilization());
        assert_eq!((snapshot.state, buffer.state(State::Normal)), (classified, classified));
        assert_eq!(snapshot.utilization, model.utilization());
        assert_eq!((snapshot.capacity, snapshot.max_weight), (self.config.capacity(), self.config.max_weight()), "r1");
        assert_eq!(snapshot.strategy, self.config.strategy(), "r1");
        assert_eq!(snapshot.weight as u128, model.held_weight());

        let counts = snapshot.counts;
        let fated = |wanted: &dyn Fn(Fate) -> bool| self.fates.values().filter(|&&fate| wanted(fate)).count() as u64;
        assert!(counts.balances(), "c1: {counts:?}");
        assert_eq!(counts.received, self.offered);
        assert_eq!(counts.queued, buffer.len() as u64);
        assert_eq!(counts.in_flight, self.in_flight.len() as u64);
        assert_eq!(counts.delivered, fated(&|fate| fate == Fate::Delivered));
        assert_eq!(counts.rejected, fated(&|fate| fate == Fate::Rejected));
        for reason in DropReason::ALL {
            assert_eq!(counts.lost(reason), fated(&|fate| fate == Fate::Lost(reason)), "{reason}");
        }
        assert_eq!(counts.dropped() + counts.evicted() + counts.failed(), fated(&|fate| matches!(fate, Fate::Lost(_))));
    }

    /// Delivers what is left.
    fn finish(mut self) {
        self.step(&Step::Close);
        while !self.buffer.is_empty() {
            self.step(&Step::PopMany(3, 4));
        }
        self.step(&Step::Settle(usize::MAX, true));
        let counts = self.gauge.snapshot().counts;
        assert_eq!((counts.queued, counts.in_flight), (0, 0));
        assert!(self.fates.keys().copied().eq(1..=self.offered), "c2: an item without a fate");
    }
}

proptest! {
    #[test]
    fn c1_c2_c5_d3_d4_e1_e2_o2_r1_r2_r4_the_buffer_is_its_model(
        setup in steps::setup(),
        (start, steps) in Just(Instant::now()).prop_flat_map(|start| {
            (Just(start), prop::collection::vec(steps::step(start), 1..120))
        }),
    ) {
        let mut pair = Pair::new(&setup, start);
        steps.iter().for_each(|step| pair.step(step));
        pair.finish();
    }
}
