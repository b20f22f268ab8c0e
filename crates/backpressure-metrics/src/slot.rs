//! What a registry keeps of one name.

use std::sync::Arc;
use std::time::Instant;

use backpressure_core::{Instrument, Reading, RecentWork, WorkShares};

/// A name, and the instruments that it stands for: the one that is there now, and those that were there before.
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    pub(crate) source: Source,
    recent: Option<RecentWork>,
}

/// What is read to learn how a name stands.
#[derive(Clone)]
pub(crate) struct Source {
    /// `None` once it was removed.
    pub(crate) current: Option<Arc<dyn Instrument>>,
    /// Those that have ended, or were removed, but still had something on hand when they were last read.
    earlier: Vec<Arc<dyn Instrument>>,
    /// What those had counted that are done with.
    base: Option<Arc<Reading>>,
}

/// How a name stands.
pub(crate) struct Read {
    pub(crate) reading: Reading,
    /// The earlier instruments that have nothing on hand any more, and what they had counted.
    settled: Vec<(Arc<dyn Instrument>, Reading)>,
}

impl Slot {
    pub(crate) fn new(name: Arc<str>, instrument: Arc<dyn Instrument>) -> Self {
        let source = Source { current: Some(instrument), earlier: Vec::new(), base: None };
        Self { name, source, recent: None }
    }

    /// Puts another instrument into the place of the one that is there.
    pub(crate) fn replace(&mut self, instrument: Option<Arc<dyn Instrument>>) {
        self.source.earlier.extend(std::mem::replace(&mut self.source.current, instrument));
        self.recent = None;
    }

    /// Where the time went recently, from the reading at `now`.
    pub(crate) fn shares(&mut self, now: Instant, reading: &Reading) -> Option<WorkShares> {
        let work = reading.snapshot.as_ref()?.work?;
        self.recent.get_or_insert_with(|| RecentWork::new(now, work)).observe(now, work)
    }

    /// Forgets the earlier instruments that are settled, but not what they had counted. Others may have done so meanwhile.
    pub(crate) fn fold(&mut self, read: &Read) {
        let source = &mut self.source;
        for (instrument, reading) in &read.settled {
            let found = source.earlier.iter().position(|earlier| Arc::ptr_eq(earlier, instrument));
            if let Some(found) = found {
                source.earlier.swap_remove(found);
                let base = source.base.as_deref().cloned().unwrap_or_default();
                source.base = Some(Arc::new(reading.clone().continuing(&base)));
            }
        }
    }
}

impl Source {
    /// Reads the instruments, which is others' code: not under a lock. `None` if there is none.
    pub(crate) fn read(&self) -> Option<Read> {
        let mut reading = self.current.as_ref()?.read();
        let mut settled = Vec::new();
        for instrument in &self.earlier {
            let earlier = instrument.read();
            reading = reading.continuing(&earlier);
            if is_settled(&earlier) {
                settled.push((Arc::clone(instrument), earlier));
            }
        }
        if let Some(base) = &self.base {
            reading = reading.continuing(base);
        }
        Some(Read { reading, settled })
    }
}

/// Whether nothing that it counted will change any more.
fn is_settled(reading: &Reading) -> bool {
    let on_hand = reading.snapshot.as_ref().map_or(0, |snapshot| snapshot.counts.queued + snapshot.counts.in_flight);
    reading.ended && on_hand == 0
}
