//! A part that ends while it is looked at: before its turn, in the middle of its reading, and after it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use backpressure_core::{
    BackpressureConfig, BoundedBuffer, DropReason, Instrument, MetricKind, MetricValue, Moved, Reading, Recorder, Tag,
};
use backpressure_metrics::prometheus::{Format, render};
use backpressure_metrics::{Observation, Part, Registry};

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Before,
    Amid,
    After,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Dropped,
    Replaced,
    Removed,
}

type Due = (Moment, Box<dyn FnOnce()>);

thread_local! {
    static DUE: RefCell<Option<Due>> = const { RefCell::new(None) };
}

/// Does what is due at this moment, once.
fn come_to(moment: Moment) {
    let due = DUE.with_borrow_mut(|due| due.take_if(|(at, _)| *at == moment));
    if let Some((_, act)) = due {
        act();
    }
}

/// A gauge asks for the time after it has looked whether its part has ended, and before it reads anything else.
fn clock() -> Instant {
    come_to(Moment::Amid);
    Instant::now()
}

/// A neighbour, read at this moment.
struct Neighbour(Moment);

impl Instrument for Neighbour {
    fn read(&self) -> Reading {
        come_to(self.0);
        Reading::default()
    }
}

struct Queue {
    recorder: Recorder,
    buffer: BoundedBuffer<()>,
}

impl Queue {
    fn new() -> Self {
        let config = BackpressureConfig::builder().capacity(8).build().unwrap();
        Self { recorder: Recorder::new(&config, clock, true), buffer: BoundedBuffer::new(&config) }
    }

    fn offer(&mut self) {
        assert!(self.buffer.offer((), Tag::default()).is_accepted());
        let _ = self.recorder.update(&self.buffer, Moved::NOTHING);
    }

    /// One more comes, and all that is queued is lost.
    fn end(mut self) {
        self.offer();
        let queued = std::iter::from_fn(|| self.buffer.pop()).count();
        let _ = self.recorder.update(&self.buffer, Moved::discarded(DropReason::Closed, queued));
    }
}

/// What only grows of the queue, by name and attribute.
fn counters(seen: &Observation) -> HashMap<(&'static str, Option<String>), f64> {
    let counted = seen.series().filter(|series| series.stage == "queue" && series.family.kind != MetricKind::Gauge);
    let number = |value: &MetricValue| match value {
        MetricValue::Count(count) => *count as f64,
        MetricValue::Number(number) => *number,
        other => panic!("{other:?}"),
    };
    let attribute = |attribute: Option<(&str, &str)>| attribute.map(|(_, value)| value.to_owned());
    counted.map(|series| ((series.family.name, attribute(series.attribute)), number(&series.value))).collect()
}

/// Three scrapes, in the second of which it happens.
fn scrapes(moment: Moment, ending: Ending) -> (Vec<Observation>, Option<Queue>) {
    let registry = Registry::new();
    let mut queue = Queue::new();
    registry.add("first", Neighbour(Moment::Before)).unwrap();
    let part = registry.add("queue", queue.recorder.gauge()).unwrap();
    registry.add("last", Neighbour(Moment::After)).unwrap();
    queue.offer();
    let mut seen = vec![registry.observe(Instant::now())];
    let next = (ending == Ending::Replaced).then(Queue::new);
    let gauge = next.as_ref().map(|next| next.recorder.gauge());
    let (of_registry, of_part): (Registry, Part) = (registry.clone(), part.clone());
    let act = move || {
        if ending == Ending::Removed {
            of_part.remove();
        }
        queue.end();
        if let Some(gauge) = gauge {
            of_registry.add("queue", gauge).unwrap();
        }
    };
    DUE.set(Some((moment, Box::new(act))));
    seen.extend((0..3).map(|_| registry.observe(Instant::now())));
    assert!(DUE.take().is_none(), "it has happened");
    (seen, next)
}

#[test]
fn m2_no_counter_falls_as_a_part_ends_amid_a_scrape_and_it_ends_once() {
    for moment in [Moment::Before, Moment::Amid, Moment::After] {
        for ending in [Ending::Dropped, Ending::Replaced, Ending::Removed] {
            let (seen, _next) = scrapes(moment, ending);
            for (earlier, later) in seen.iter().zip(&seen[1..]) {
                let now = counters(later);
                for (name, before) in counters(earlier) {
                    // What is removed is told no more.
                    let fell = now.get(&name).map_or(ending != Ending::Removed, |now| *now < before);
                    assert!(!fell, "{name:?} fell from {before} to {:?}: {moment:?}, {ending:?}", now.get(&name));
                }
            }
            let ended: Vec<_> = seen.iter().map(|seen| seen.part("queue").map(|part| part.ended())).collect();
            let last = match ending {
                Ending::Dropped => Some(true),
                Ending::Replaced => Some(false),
                Ending::Removed => None,
            };
            assert_eq!(ended[2..], [last; 2], "{moment:?}, {ending:?}");
            if ending == Ending::Dropped {
                assert!(ended.is_sorted(), "it ended {ended:?}: {moment:?}");
            }
            for seen in &seen {
                let text = render(seen, Format::Text);
                let lines = |line: &str| text.lines().filter(|found| found.starts_with(line)).count();
                let there = usize::from(seen.part("queue").is_some());
                assert_eq!(lines("backpressure_part_ended{stage=\"queue\"} "), there, "{text}");
                let alive = lines("backpressure_part_ended{stage=\"queue\"} 0");
                assert_eq!(lines("backpressure_state{stage=\"queue\"} "), alive, "levels go as it ends: {text}");
            }
            if let Some(part) = seen[3].part("queue") {
                let counts = part.counts().unwrap();
                assert_eq!((counts.received, counts.lost(DropReason::Closed)), (2, 2), "{moment:?}, {ending:?}");
                assert!(counts.balances(), "{counts:?}");
            }
        }
    }
}
