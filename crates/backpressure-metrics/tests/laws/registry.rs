//! Names, links, ends, and what goes on under the name of a part that has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use backpressure_core::{
    BackpressureConfig, BoundedBuffer, DropReason, Family, Instrument, Metric, MetricKind, MetricValue, Moved, Reading,
    Recorder, Tag,
};
use backpressure_metrics::prometheus::{Format, render};
use backpressure_metrics::{RegisterError, Registry};
use proptest::prelude::*;

fn recorder() -> Recorder {
    Recorder::new(&BackpressureConfig::default(), Instant::now, true)
}

fn text(registry: &Registry) -> String {
    render(&registry.observe(Instant::now()), Format::Text)
}

#[test]
fn names_that_are_taken_and_links_that_close_a_circle_are_refused() {
    let registry = Registry::new();
    let kept = [(); 3].map(|()| recorder());
    let names = ["a", "b", "c"];
    let parts: Vec<_> = names.iter().zip(&kept).map(|(name, part)| registry.add(name, part.gauge()).unwrap()).collect();
    let refusal = registry.add("a", recorder().gauge()).unwrap_err();
    assert_eq!(refusal.to_string(), "a part named `a` is registered, and has not ended");
    registry.link(&parts[0], &parts[1]).unwrap();
    registry.link(&parts[1], &parts[2]).unwrap();
    registry.link(&parts[0], &parts[1]).unwrap();
    registry.link(&parts[0], &parts[2]).unwrap();
    assert_eq!(registry.observe(Instant::now()).links, [(0, 1), (1, 2), (0, 2)]);
    let circle = registry.link(&parts[2], &parts[0]).unwrap_err();
    assert!(circle.to_string().starts_with("the link would close a cycle: `a` → "), "{circle}");
    assert!(matches!(circle, RegisterError::Cycle { path } if path.last().unwrap() == "c"));
    let itself = registry.link(&parts[1], &parts[1]).unwrap_err();
    assert_eq!(itself.to_string(), "the link would close a cycle: `b` is there already");
    let stranger = Registry::new().add("a", kept[0].gauge()).unwrap();
    assert_eq!(registry.link(&stranger, &parts[0]).unwrap_err().to_string(), "the part `a` is not in this registry");
    parts[2].remove();
    assert!(matches!(registry.link(&parts[0], &parts[2]), Err(RegisterError::Unknown { .. })));
    assert_eq!(registry.observe(Instant::now()).links, [(0, 1)]);
    let again = registry.add("c", kept[2].gauge()).unwrap();
    assert_eq!(again.name(), "c");
    assert_eq!(registry.observe(Instant::now()).links, [(0, 1), (1, 2), (0, 2)], "it stands in its place again");
}

/// An instrument of somebody's own.
struct Own(&'static Family, Arc<AtomicU64>);

impl Instrument for Own {
    fn read(&self) -> Reading {
        Reading::default().with(Metric::count(self.0, self.1.load(Ordering::Relaxed)))
    }
}

#[test]
fn metrics_that_would_be_misread_are_refused() {
    static REFILLS: Family = Family::counter("shop.refill", "{refill}", "Refills.");
    static CLASH: Family = Family::gauge("shop_refill", "{refill}", "Refills.");
    static RATIO: Family = Family::counter("shop.share", "1", "Share.");
    let registry = Registry::new();
    let count = Arc::new(AtomicU64::new(3));
    registry.add("shop", Own(&REFILLS, Arc::clone(&count))).unwrap();
    let add =
        |name, family| registry.add(name, Own(family, Arc::clone(&count))).map(|_| ()).map_err(|why| why.to_string());
    assert_eq!(add("other", &REFILLS), Ok(()));
    let clash = "the metric `shop_refill` of the part `clash` must not have the name of another metric with another unit, kind or text";
    assert_eq!(add("clash", &CLASH), Err(clash.into()));
    let ratio =
        "the metric `shop.share` of the part `ratio` must be a gauge if its unit is `1`: exporters call that a ratio";
    assert_eq!(add("ratio", &RATIO), Err(ratio.into()));
    let lines = "# HELP shop_refill_total Refills.\n# TYPE shop_refill_total counter\n\
        shop_refill_total{stage=\"shop\"} 3\nshop_refill_total{stage=\"other\"} 3\n";
    assert!(text(&registry).starts_with(lines), "{}", text(&registry));
}

/// Every value of what only grows, by its name and attributes.
fn counters(registry: &Registry) -> Vec<(String, f64)> {
    let seen = registry.observe(Instant::now());
    let counting = seen.series().filter(|series| series.family.kind != MetricKind::Gauge);
    let line = |series: backpressure_metrics::Series<'_>| {
        let value = match series.value {
            MetricValue::Count(count) => count as f64,
            MetricValue::Number(number) => number,
            MetricValue::Durations(durations) => durations.count() as f64,
            _ => unreachable!("there is no other value"),
        };
        (format!("{}{}{:?}", series.family.name, series.stage, series.attribute), value)
    };
    counting.map(line).collect()
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Offer,
    Take,
    Deliver,
    Fail,
    /// The part ends; what it has taken may still be answered for.
    End,
    /// Another one comes under its name.
    Replace,
    Remove,
}

proptest! {
    #[test]
    fn m2_no_counter_ever_falls_whatever_ends_is_replaced_or_removed(
        steps in prop::collection::vec(prop::sample::select(vec![
            Step::Offer, Step::Offer, Step::Take, Step::Deliver, Step::Fail, Step::End, Step::Replace, Step::Remove,
        ]), 0..60),
    ) {
        let registry = Registry::new();
        let config = BackpressureConfig::builder().capacity(3).build().unwrap();
        let begin = || (Recorder::new(&config, Instant::now, true), BoundedBuffer::new(&config));
        let mut part = Some(begin());
        let mut handle = registry.add("part", part.as_ref().unwrap().0.gauge()).unwrap();
        let mut in_flight = Vec::new();
        let mut received = 0;
        let mut known = std::collections::HashMap::new();
        let mut is_there = true;
        for step in steps {
            match (step, &mut part) {
                (Step::Offer, Some((recorder, buffer))) => {
                    received += 1;
                    if buffer.offer((), Tag::default()).is_accepted() {
                        let _ = recorder.update(buffer, Moved::NOTHING);
                    } else {
                        recorder.reporter().rejected();
                    }
                }
                (Step::Take, Some((recorder, buffer))) => {
                    let taken = usize::from(buffer.pop().is_some());
                    let _ = recorder.update(buffer, Moved::taken(taken));
                    in_flight.extend((0..taken).map(|_| recorder.reporter()));
                }
                (Step::Deliver, _) => if let Some(reporter) = in_flight.pop() {
                    reporter.delivered(1);
                },
                (Step::Fail, _) => if let Some(reporter) = in_flight.pop() {
                    reporter.lost(DropReason::Failed, 1);
                },
                (Step::End, Some((recorder, buffer))) => {
                    let queued = std::iter::from_fn(|| buffer.pop()).count();
                    if queued > 0 {
                        let _ = recorder.update(buffer, Moved::discarded(DropReason::Closed, queued));
                    }
                    part = None;
                    if is_there {
                        prop_assert!(registry.observe(Instant::now()).part("part").unwrap().ended());
                    }
                }
                (Step::Replace, _) => {
                    let next = begin();
                    let added = registry.add("part", next.0.gauge());
                    prop_assert_eq!(added.is_ok(), part.is_none() || !is_there);
                    if let Ok(added) = added {
                        handle = added;
                        part = Some(next);
                        is_there = true;
                    }
                }
                (Step::Remove, _) => {
                    handle.remove();
                    if let Some((recorder, buffer)) = &mut part {
                        let queued = std::iter::from_fn(|| buffer.pop()).count();
                        if queued > 0 {
                            let _ = recorder.update(buffer, Moved::discarded(DropReason::Closed, queued));
                        }
                    }
                    is_there = false;
                    part = None;
                }
                _ => {}
            }
            for (name, value) in counters(&registry) {
                let before = known.insert(name.clone(), value).unwrap_or(0.0);
                prop_assert!(value >= before, "{} fell from {} to {} at {:?}", name, before, value, step);
            }
            if let Some(seen) = registry.observe(Instant::now()).part("part") {
                let counts = seen.counts().unwrap();
                prop_assert_eq!(counts.received, received);
                prop_assert!(counts.balances(), "{:?}", counts);
            }
        }
    }
}

#[test]
fn a_part_that_has_ended_says_so_and_keeps_only_what_it_counted() {
    let registry = Registry::new();
    let part = recorder();
    part.reporter().rejected();
    registry.add("queue", part.gauge()).unwrap();
    let alive = text(&registry);
    assert!(alive.contains("backpressure_part_ended{stage=\"queue\"} 0\n"));
    assert!(alive.contains("backpressure_state{stage=\"queue\"} 0\n"));
    drop(part);
    let ended = text(&registry);
    assert!(ended.contains("backpressure_part_ended{stage=\"queue\"} 1\n"));
    assert!(ended.contains("backpressure_item_rejected_total{stage=\"queue\"} 1\n"));
    assert!(!ended.contains("backpressure_state{") && !ended.contains("_capacity{"), "{ended}");
}

#[test]
fn t6_what_was_removed_and_has_ended_is_kept_alive_by_no_name() {
    /// Something of somebody's own that has ended.
    struct Ended(#[expect(dead_code, reason = "it is dropped with this")] Arc<()>);
    impl Instrument for Ended {
        fn read(&self) -> Reading {
            let mut reading = Reading::default();
            reading.ended = true;
            reading
        }
    }
    let (registry, token) = (Registry::new(), Arc::new(()));
    for connection in 0..100 {
        registry.add(&format!("connection {connection}"), Ended(Arc::clone(&token))).unwrap().remove();
        registry.observe(Instant::now());
    }
    assert_eq!(Arc::strong_count(&token), 1);
    assert!(registry.observe(Instant::now()).parts.is_empty());
}

#[test]
fn m1_a_part_that_was_removed_and_comes_back_is_counted_once() {
    let registry = Registry::new();
    let part = recorder();
    part.reporter().rejected();
    let rejected = || registry.observe(Instant::now()).part("queue").unwrap().counts().unwrap().rejected;
    for _ in 0..3 {
        let added = registry.add("queue", part.gauge()).unwrap();
        assert_eq!(rejected(), 1);
        added.remove();
    }
    let (other, name) = (recorder(), "queue");
    other.reporter().rejected();
    registry.add(name, other.gauge()).unwrap();
    assert_eq!(rejected(), 2, "another one goes on from there");
}
