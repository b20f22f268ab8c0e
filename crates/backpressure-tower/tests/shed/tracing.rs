//! An event on every change of a limit, and on nothing else.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backpressure_core::limit::{Bounds, Fast, Level, Outcome};
use backpressure_tower::Limiter;
use tokio::time::advance;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down the events, and calls back into what it listens to.
struct Listener {
    lines: Arc<Mutex<Vec<String>>>,
    limiter: Limiter,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "backpressure"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
        self.limiter.tick();
        assert!(self.limiter.explain().starts_with("the limit is "));
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
async fn c4_a_change_of_the_limit_is_told_with_its_reason_outside_of_every_lock() {
    let bounds = Bounds::new(2, 20).and_then(|bounds| bounds.start(10)).unwrap();
    let limiter = Limiter::builder().limit(Fast::new(bounds)).build();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let listener = Listener { lines: Arc::clone(&lines), limiter: limiter.clone() };
    let _listening = tracing::subscriber::set_default(listener);
    let mut changes = 0;
    for _ in 0..400 {
        let before = limiter.limit();
        let permits: Vec<_> = std::iter::from_fn(|| limiter.try_admit(Level::default()).ok()).collect();
        advance(Duration::from_millis(5)).await;
        permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
        changes += usize::from(limiter.limit() != before);
    }
    let lines = lines.lock().unwrap();
    assert!(changes > 0 && lines.len() == changes, "{changes} changes: {lines:?}");
    let first = &lines[0];
    assert!(first.starts_with("DEBUG message=the concurrency limit changed before=10 after=20"), "{first}");
    assert!(first.contains("it was 10 before, and it was felt with less of a queue than is welcome"), "{first}");
}
