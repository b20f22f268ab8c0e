//! All that is known, as a page is told when it opens.

use serde::{Serialize, Serializer};

use backpressure_core::Durations;

use super::fields::FIELDS;
use super::history::{COLUMN, COLUMNS, History, Track};
use super::number::Number;
use super::sample::BUCKETS;
use super::tick::Tick;

/// The parts, their history, and how they are now.
#[derive(Debug, Serialize)]
pub(super) struct Whole<'a> {
    generation: u64,
    columns: u64,
    column_ms: u128,
    /// The upper edges of the latencies' buckets but the last, in seconds.
    bounds: &'static [f64],
    parts: Vec<Part<'a>>,
    tick: Tick<'a>,
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    name: &'a str,
    /// The parts that it feeds, by their places.
    feeds: Vec<usize>,
    /// One for each field, each with the newest column last.
    series: [Series<'a>; FIELDS.len()],
    heat: Option<Heat<'a>>,
}

#[derive(Debug)]
struct Series<'a> {
    track: &'a Track,
    newest: u64,
    field: usize,
}

#[derive(Debug)]
struct Heat<'a> {
    track: &'a Track,
    newest: u64,
}

impl<'a> Whole<'a> {
    pub(super) fn of(tick: Tick<'a>, history: &'a History) -> Self {
        let newest = history.newest();
        let part = |(index, track): (usize, &'a Track)| Part {
            name: &track.name,
            feeds: history.links().iter().filter(|(from, _)| *from == index).map(|(_, to)| *to).collect(),
            series: std::array::from_fn(|field| Series { track, newest, field }),
            heat: track.has_heat().then_some(Heat { track, newest }),
        };
        Self {
            generation: history.generation(),
            columns: COLUMNS,
            column_ms: COLUMN.as_millis(),
            bounds: &Durations::EDGES,
            parts: history.tracks.iter().enumerate().map(part).collect(),
            tick,
        }
    }
}

impl Serialize for Series<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let columns = self.track.columns(self.newest);
        to.collect_seq(columns.map(|column| Number(column.map_or(f64::NAN, |column| column.values[self.field].into()))))
    }
}

impl Serialize for Heat<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let columns = self.track.columns(self.newest);
        let heat = columns.map(|column| column.and_then(|column| column.heat.as_deref()));
        to.collect_seq(heat.map(|heat: Option<&[u32; BUCKETS]>| heat))
    }
}
