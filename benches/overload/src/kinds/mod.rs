//! Every kind of work under every limiter.
//!
//! A kind is a family of servers and loads; a seed draws its parameters. The seeds that limits are tuned with and those of
//! the report have nothing in common, so what is fitted to the former alone shows in the latter.

mod catalogue;
mod heat;
mod simulation;
mod world;

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

pub use catalogue::{KINDS, Kind};
pub use heat::map;

use crate::policy::Policy;
use simulation::{Run, Tally};
use world::World;

/// For work on the limits.
pub const TUNING_SEEDS: RangeInclusive<u64> = 1..=6;
/// For the report only.
pub const REPORT_SEEDS: RangeInclusive<u64> = 1001..=1010;

/// What is known from elsewhere.
pub const PEERS: [Policy; 3] = [Policy::Aimd, Policy::Vegas, Policy::Gradient];

/// The static limits among which the best is looked for.
const STATIC: [usize; 14] = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1000, 4000];

/// A world of a kind, under all limiters.
#[derive(Debug)]
pub struct Row {
    pub ours: Tally,
    pub peers: [Tally; PEERS.len()],
    /// The best static limit in hindsight.
    pub limit: usize,
    pub fixed: Tally,
}

impl Row {
    /// The best of all others, in good answers a second.
    pub fn best(&self) -> f64 {
        self.peers.iter().map(|peer| peer.goodput).fold(self.fixed.goodput, f64::max)
    }
}

/// The worlds of each kind, one a seed, on all cores.
pub fn run(kinds: &[Kind], seeds: RangeInclusive<u64>) -> Result<Vec<Vec<Row>>> {
    let jobs: Vec<_> =
        kinds.iter().enumerate().flat_map(|(n, kind)| seeds.clone().map(move |seed| (n, kind, seed))).collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some((n, kind, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let row = row(&kind.world(*seed), *seed)?;
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

fn row(world: &World, seed: u64) -> Result<Row> {
    let soonest = world.classes.iter().map(|class| class.deadline()).min().unwrap_or_default();
    let tally =
        |policy| -> Result<Tally> { Ok(Run::new(world, policy, seed, Duration::from_nanos(soonest / 2))?.run()) };
    let ours = tally(Policy::Fast)?;
    let peers = PEERS.map(tally);
    let [aimd, vegas, gradient] = peers;
    let mut best = (0, Tally::default());
    for limit in STATIC {
        let fixed = tally(Policy::Guess(limit))?;
        if fixed.goodput > best.1.goodput {
            best = (limit, fixed);
        }
    }
    Ok(Row { ours, peers: [aimd?, vegas?, gradient?], limit: best.0, fixed: best.1 })
}
