//! A database that is slow, stalls or refuses on demand, and knows each key once.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

/// Why a row was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Poison,
    Later,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Error for Refusal {}

#[derive(Debug, Default)]
pub(crate) struct Database {
    state: Mutex<State>,
    /// How long a batch of each worker takes.
    pace: BTreeMap<&'static str, Duration>,
    /// Rows that will never do.
    poison: BTreeSet<u64>,
    /// How often a row is refused before it is taken.
    flaky: BTreeMap<u64, u32>,
}

#[derive(Debug, Default)]
struct State {
    /// Who wrote each row first.
    rows: BTreeMap<u64, &'static str>,
    /// Writes of rows that were there already.
    prevented: u64,
    refused: BTreeMap<u64, u32>,
    /// How long the next batch of a worker hangs.
    stall: Option<(&'static str, Duration)>,
}

impl Database {
    pub(crate) fn pace(mut self, worker: &'static str, batch: Duration) -> Self {
        self.pace.insert(worker, batch);
        self
    }

    pub(crate) fn poison(mut self, ids: impl IntoIterator<Item = u64>) -> Self {
        self.poison.extend(ids);
        self
    }

    pub(crate) fn refuses(mut self, id: u64, times: u32) -> Self {
        self.flaky.insert(id, times);
        self
    }

    /// Writes a batch in one transaction, and answers what it refused.
    pub(crate) async fn write(&self, worker: &'static str, ids: &[u64]) -> BTreeMap<u64, Refusal> {
        let stall = self.state.lock().unwrap().stall.take_if(|(whose, _)| *whose == worker);
        let hang = stall.map_or(Duration::ZERO, |(_, hang)| hang);
        tokio::time::sleep(hang + self.pace.get(worker).copied().unwrap_or_default()).await; // tidy: paused clock
        let mut state = self.state.lock().unwrap();
        let mut refused = BTreeMap::new();
        for &id in ids {
            let times = state.refused.entry(id).or_default();
            if self.poison.contains(&id) {
                refused.insert(id, Refusal::Poison);
            } else if self.flaky.get(&id).is_some_and(|most| *times < *most) {
                *times += 1;
                refused.insert(id, Refusal::Later);
            } else if state.rows.insert(id, worker).is_some() {
                state.prevented += 1;
            }
        }
        refused
    }

    /// The next batch of this worker hangs for so long.
    pub(crate) fn stall(&self, worker: &'static str, hang: Duration) {
        self.state.lock().unwrap().stall = Some((worker, hang));
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.state.lock().unwrap().stall.is_none()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.state.lock().unwrap().rows.len() as u64
    }

    pub(crate) fn rows_of(&self, worker: &str) -> u64 {
        self.state.lock().unwrap().rows.values().filter(|&&who| who == worker).count() as u64
    }

    /// Rows that would be there twice without the key.
    pub(crate) fn prevented(&self) -> u64 {
        self.state.lock().unwrap().prevented
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        self.state.lock().unwrap().rows.contains_key(&id)
    }
}
