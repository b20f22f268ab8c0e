//! An event on every change of the pressure state, and on nothing else.

#![cfg(feature = "tracing")]

mod support;

use std::fmt::{Debug, Write};

use backpressure_controller::BackpressureController;
use backpressure_core::Strategy;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{Act, INTERVAL, Log, MS, Target, advance, config, settle};

/// Writes down the events of the controller, as `LEVEL from -> to at utilization`.
struct Listener(Log<String>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("backpressure")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        panic!("there are no spans")
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_the_edges_of_the_state_and_of_no_item() {
    let events = Log::new();
    let _listening = tracing::subscriber::set_default(Listener(events.clone()));
    let target = Target::always(Act::Deliver);
    let config = config(20, 2).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();

    for item in 0..1_000 {
        controller.push(item).await.unwrap();
        if item % 5 == 0 {
            settle().await;
        }
    }
    advance(INTERVAL).await;
    assert_eq!(target.delivered().len(), 1_000);
    assert_eq!(events.take(), Vec::<String>::new(), "a thousand items, and the state is Normal all along");

    target.ready_for(0);
    for item in 0..20 {
        controller.push(item).await.unwrap();
        settle().await;
    }
    let rising = [
        (Level::INFO, "normal", "elevated", 0.5),
        (Level::WARN, "elevated", "critical", 0.8),
        (Level::WARN, "critical", "blocked", 1.0),
    ];
    assert_eq!(events.take(), rising.map(line));

    for _ in 0..10 {
        target.ready_for(1);
        settle().await;
    }
    let falling = [
        (Level::WARN, "blocked", "critical", 0.9),
        (Level::INFO, "critical", "elevated", 0.7),
        (Level::INFO, "elevated", "normal", 0.4),
    ];
    assert_eq!(events.take(), falling.map(line));

    assert!(controller.drain(MS).await.is_complete());
    settle().await;
    assert_eq!(events.take(), [line((Level::INFO, "normal", "draining", 0.0))]);
}

fn line((level, from, to, utilization): (Level, &str, &str, f64)) -> String {
    format!("{level} message=backpressure from={from} to={to} utilization={utilization:?}")
}
