//! What is known, and how pages are told.

use std::time::Instant;

use axum::body::Bytes;
use serde::Serialize;

use super::history::History;
use super::sample::{Differences, Sample};
use super::tick::Tick;
use super::whole::Whole;
use crate::observation::Observation;

/// Ten minutes of all parts.
#[derive(Debug)]
pub(super) struct Known {
    differences: Differences,
    history: History,
    newest: Option<Newest>,
}

#[derive(Debug)]
struct Newest {
    sample: Sample,
    frame: Frame,
    /// Made when the first asks.
    whole: Option<Bytes>,
}

/// One second, as all pages are told it. Clones share the bytes.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Another one whenever there are other parts.
    pub(super) generation: u64,
    pub(super) column: u64,
    pub(super) tick: Bytes,
}

impl Known {
    pub(super) fn new(now: Instant) -> Self {
        Self { differences: Differences::default(), history: History::new(now), newest: None }
    }

    /// What was seen before is not to be compared with what comes.
    pub(super) fn begin(&mut self) {
        self.differences = Differences::default();
    }

    /// Takes in what was seen at `now`, and says it as a page is told.
    pub(super) fn take(&mut self, now: Instant, seen: Observation) -> Frame {
        let sample = self.differences.next(now, seen);
        self.history.record(now, &sample);
        let frame = Frame {
            generation: self.history.generation(),
            column: self.history.newest(),
            tick: event("tick", &Tick::of(&sample, &self.history)),
        };
        self.newest = Some(Newest { sample, frame: frame.clone(), whole: None });
        frame
    }

    pub(super) fn newest(&self) -> Option<Frame> {
        self.newest.as_ref().map(|newest| newest.frame.clone())
    }

    /// The newest frame, and everything up to it.
    pub(super) fn whole(&mut self) -> Option<(Frame, Bytes)> {
        let Newest { sample, frame, whole } = self.newest.as_mut()?;
        let history = &self.history;
        let whole = whole.get_or_insert_with(|| event("whole", &Whole::of(Tick::of(sample, history), history)));
        Some((frame.clone(), whole.clone()))
    }
}

/// A server-sent event. JSON has no line breaks but those that it escapes.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut event = format!("event: {name}\ndata: ").into_bytes();
    // Into memory, from maps whose keys are text: it cannot fail.
    let _ = serde_json::to_writer(&mut event, data);
    event.extend_from_slice(b"\n\n");
    event.into()
}
