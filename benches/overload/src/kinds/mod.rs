//! Every kind of work under every limiter.
//!
//! A kind is a family of servers and loads; a seed draws its parameters. The seeds that limits are tuned with and those of
//! the report have nothing in common, so what is fitted to the former alone shows in the latter.

mod catalogue;
mod heat;
mod picture;
mod recovery;
mod row;
mod sharing;
mod simulation;
mod world;

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;

pub use catalogue::{KINDS, Kind};
pub use heat::map;
pub use picture::heat_map;

use row::Row;

/// For work on the limits.
pub const TUNING_SEEDS: RangeInclusive<u64> = 1..=6;
/// For the report only.
pub const REPORT_SEEDS: RangeInclusive<u64> = 1001..=1010;

/// The worlds of each kind, one a seed, on all cores.
pub fn run(kinds: &[Kind], seeds: RangeInclusive<u64>) -> Result<Vec<Vec<Row>>> {
    let jobs: Vec<_> =
        kinds.iter().enumerate().flat_map(|(n, kind)| seeds.clone().map(move |seed| (n, kind, seed))).collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some((n, kind, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let row = Row::of(&kind.world(*seed), *seed)?;
            rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*n, *seed, row));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..thread::available_parallelism().map_or(1, NonZero::get)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a run panicked")))
    })?;
    let mut rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|(n, seed, _)| (*n, *seed));
    let mut of_kinds: Vec<Vec<Row>> = kinds.iter().map(|_| Vec::new()).collect();
    rows.into_iter().for_each(|(n, _, row)| of_kinds[n].push(row));
    Ok(of_kinds)
}
