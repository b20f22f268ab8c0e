//! What a registry keeps of one name.

use std::sync::Arc;
use std::time::Instant;

use backpressure_core::{Gauge, Instrument, Reading, RecentWork, WorkShares};

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

    /// The instrument that is about to come has been here before, as these: what it has counted is not to be counted twice.
    pub(crate) fn comes_back(&mut self, same: &[Arc<dyn Instrument>]) {
        self.source.earlier.retain(|earlier| !same.iter().any(|same| Arc::ptr_eq(earlier, same)));
    }

    /// Where the time went recently, from the reading at `now`.
    pub(crate) fn shares(&mut self, now: Instant, reading: &Reading) -> Option<WorkShares> {
        let work = reading.snapshot.as_ref()?.work?;
        self.recent.get_or_insert_with(|| RecentWork::new(now, work)).observe(now, work)
    }

    /// Forgets an earlier instrument that is settled, but not what it had counted. Others may have done so meanwhile.
    pub(crate) fn fold(&mut self, earlier: &Arc<dyn Instrument>, reading: &Reading) {
        let source = &mut self.source;
        if let Some(found) = source.earlier.iter().position(|known| Arc::ptr_eq(known, earlier)) {
            source.earlier.swap_remove(found);
            let base = source.base.as_deref().cloned().unwrap_or_default();
            source.base = Some(Arc::new(reading.clone().continuing(&base)));
        }
    }
}

impl Source {
    /// Those that were there before and read the same gauge. It asks others' code: not under a lock.
    pub(crate) fn same(&self, gauge: &Gauge) -> Vec<Arc<dyn Instrument>> {
        let reads = |earlier: &&Arc<dyn Instrument>| earlier.gauge().is_some_and(|earlier| earlier.is_same(gauge));
        self.earlier.iter().filter(reads).cloned().collect()
    }

    /// Reads the instruments, which is others' code: not under a lock. `None` if nobody has the name. Earlier instruments that have
    /// nothing on hand any more are `settled`, with what they had counted.
    pub(crate) fn read(&self, mut settled: impl FnMut(Arc<dyn Instrument>, Reading)) -> Option<Reading> {
        let mut reading = self.current.as_ref().map(|current| current.read());
        for instrument in &self.earlier {
            let earlier = instrument.read();
            reading = reading.map(|reading| reading.continuing(&earlier));
            if is_settled(&earlier) {
                settled(Arc::clone(instrument), earlier);
            }
        }
        match &self.base {
            Some(base) => reading.map(|reading| reading.continuing(base)),
            None => reading,
        }
    }
}

/// Whether nothing that it counted will change any more.
fn is_settled(reading: &Reading) -> bool {
    let on_hand = reading.snapshot.as_ref().map_or(0, |snapshot| snapshot.counts.queued + snapshot.counts.in_flight);
    reading.ended && on_hand == 0
}
