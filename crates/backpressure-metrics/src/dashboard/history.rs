//! Ten minutes of every part, in memory that does not grow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fields::{FIELDS, Values};
use super::sample::{BUCKETS, Change, Sample};

/// How much time a column stands for.
pub(super) const COLUMN: Duration = Duration::from_secs(2);

/// How many columns are kept.
pub(super) const COLUMNS: u64 = 300;

/// What was seen of all parts, in columns of two seconds. The newest is still open.
#[derive(Debug)]
pub(super) struct History {
    start: Instant,
    newest: u64,
    generation: u64,
    links: Vec<(usize, usize)>,
    pub(super) tracks: Vec<Track>,
}

/// The columns of one part.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) name: Arc<str>,
    /// The oldest first. Where nobody looked there is none.
    columns: VecDeque<Column>,
}

/// What was seen of one part within two seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    number: u64,
    samples: u16,
    pub(super) values: Values,
    /// How many latencies fell into which bucket. Most parts have none.
    pub(super) heat: Option<Box<[u32; BUCKETS]>>,
}

impl History {
    /// An empty one. Columns are counted from `start`.
    pub(super) const fn new(start: Instant) -> Self {
        Self { start, newest: 0, generation: 0, links: Vec::new(), tracks: Vec::new() }
    }

    /// Takes in what was seen at `now`. A `now` that goes backwards counts for the newest column.
    pub(super) fn record(&mut self, now: Instant, sample: &Sample) {
        let number = now.saturating_duration_since(self.start).as_nanos() / COLUMN.as_nanos();
        self.newest = self.newest.max(u64::try_from(number).unwrap_or(u64::MAX));
        self.follow(sample);
        for (track, change) in self.tracks.iter_mut().zip(&sample.changes) {
            track.take(self.newest, change);
        }
    }

    /// The number of the newest column.
    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    /// Another one whenever there are other parts, or other links.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn links(&self) -> &[(usize, usize)] {
        &self.links
    }

    /// Sees to it that the tracks are those of the parts in `sample`.
    fn follow(&mut self, sample: &Sample) {
        let names = sample.seen.parts.iter().map(|part| &part.name);
        if self.links == sample.seen.links && names.clone().eq(self.tracks.iter().map(|track| &track.name)) {
            return;
        }
        self.generation += 1;
        self.links.clone_from(&sample.seen.links);
        let mut known = std::mem::take(&mut self.tracks);
        let track = |name: &Arc<str>| match known.iter().position(|track| track.name == *name) {
            Some(at) => known.swap_remove(at),
            None => Track { name: Arc::clone(name), columns: VecDeque::new() },
        };
        self.tracks = names.map(track).collect();
    }
}

impl Track {
    fn take(&mut self, number: u64, change: &Change) {
        while self.columns.front().is_some_and(|oldest| oldest.number + COLUMNS <= number) {
            self.columns.pop_front();
        }
        if self.columns.back().is_none_or(|newest| newest.number < number) {
            self.columns.push_back(Column::new(number));
        }
        if let Some(newest) = self.columns.back_mut() {
            newest.take(change);
        }
    }

    /// The newest column.
    pub(super) fn open(&self) -> Option<&Column> {
        self.columns.back()
    }

    pub(super) fn has_heat(&self) -> bool {
        self.columns.iter().any(|column| column.heat.is_some())
    }

    /// Every column from the oldest to that of this number, with a `None` where nobody looked.
    pub(super) fn columns(&self, newest: u64) -> impl Iterator<Item = Option<&Column>> {
        let oldest = self.columns.front().map_or(newest + 1, |column| column.number);
        let mut kept = self.columns.iter().peekable();
        (oldest..=newest).map(move |number| kept.next_if(|column| column.number == number))
    }
}

impl Column {
    const fn new(number: u64) -> Self {
        Self { number, samples: 0, values: [f32::NAN; FIELDS.len()], heat: None }
    }

    fn take(&mut self, change: &Change) {
        self.samples = self.samples.saturating_add(1);
        for ((value, next), (_, fold)) in self.values.iter_mut().zip(change.values).zip(FIELDS) {
            *value = fold.of(*value, next, self.samples);
        }
        if let Some(more) = &change.heat {
            let heat = self.heat.get_or_insert_with(|| Box::new([0; BUCKETS]));
            heat.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_of_a_part_take_no_more_memory_than_the_documentation_says() {
        let columns = COLUMNS as usize * size_of::<Column>();
        let heat = COLUMNS as usize * size_of::<[u32; BUCKETS]>();
        assert!(columns < 20_000 && columns + heat < 45_000, "{columns} and {heat} bytes");
    }
}
