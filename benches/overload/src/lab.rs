//! Many runs, on all cores.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};

use crate::metrics::Outcome;
use crate::policy::Policy;
use crate::scenario::Scenario;
use crate::simulation::Simulation;

/// Runs of more than this many seconds are made with fewer seeds.
const LONG: f64 = 600.0;
const SEEDS_OF_LONG: u64 = 3;

/// The medians of a scenario under a policy.
#[derive(Debug)]
pub struct Cell {
    pub scenario: Scenario,
    pub policy: Policy,
    pub outcome: Outcome,
}

/// Every scenario under every policy, with seeds from 1 on.
pub fn run(scenarios: &[Scenario], policies: &[Policy], seeds: u64) -> Result<Vec<Cell>> {
    let cells: Vec<_> = scenarios.iter().flat_map(|s| policies.iter().map(move |p| (*s, *p))).collect();
    let done: Vec<Mutex<Option<Result<Outcome>>>> = cells.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                let take = || {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    Some((cells.get(at)?, done.get(at)?))
                };
                while let Some(((scenario, policy), slot)) = take() {
                    let outcome = medians(scenario, *policy, seeds);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                }
            });
        }
    });
    let outcomes = done.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    let cells = cells.into_iter().zip(outcomes).map(|((scenario, policy), outcome)| {
        let outcome = outcome.ok_or_else(|| anyhow!("{} under {} did not end", scenario.name, policy.name()))??;
        Ok(Cell { scenario, policy, outcome })
    });
    cells.collect()
}

fn medians(scenario: &Scenario, policy: Policy, seeds: u64) -> Result<Outcome> {
    let seeds = if scenario.to > LONG { seeds.min(SEEDS_OF_LONG) } else { seeds };
    let runs =
        (1..=seeds).map(|seed| Ok(Simulation::new(scenario, policy, seed)?.run())).collect::<Result<Vec<_>>>()?;
    Ok(Outcome::median(&runs))
}

/// The cell of a scenario and a policy, if it was run.
pub fn find<'a>(cells: &'a [Cell], scenario: &str, policy: Policy) -> Option<&'a Outcome> {
    cells.iter().find(|cell| cell.scenario.name == scenario && cell.policy == policy).map(|cell| &cell.outcome)
}
