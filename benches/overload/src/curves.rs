//! The curves of the simulation.

use crate::clock::SECOND;
use crate::lab::{self, Cell};
use crate::metrics::{BIN, Outcome};
use crate::plot::Curve;
use crate::policy::Policy;
use crate::scenario::LOADS;

/// A measure over the offered load, a curve for each policy.
pub fn over_load(cells: &[Cell], measure: fn(&Outcome) -> f64) -> Vec<Curve> {
    let points = |policy| {
        let points = LOADS.iter().filter_map(|(load, scenario)| {
            let outcome = lab::find(cells, scenario.name, policy)?;
            Some((*load, measure(outcome)))
        });
        points.filter(|(_, y)| y.is_finite()).collect()
    };
    Policy::ALL.iter().map(|&policy| curve(policy, points(policy))).collect()
}

/// The limits that move, before, during and after a spike.
pub fn after_a_spike(cells: &[Cell]) -> Vec<Curve> {
    let points = |policy| {
        let limits = &lab::find(cells, "spike", policy)?.limits;
        let seconds = |bin: usize| bin as f64 * BIN as f64 / SECOND as f64;
        let points = limits.iter().enumerate().map(|(bin, &limit)| (seconds(bin), f64::from(limit)));
        Some(points.filter(|(at, limit)| *at >= 5.0 && *limit > 0.0).collect())
    };
    let moving = [Policy::Aimd, Policy::Vegas, Policy::Gradient, Policy::Fast];
    moving.iter().filter_map(|&policy| Some(curve(policy, points(policy)?))).collect()
}

fn curve(policy: Policy, points: Vec<(f64, f64)>) -> Curve {
    let colour = Policy::ALL.iter().position(|known| *known == policy).unwrap_or_default();
    Curve { name: policy.name(), colour, is_ours: policy == Policy::Fast, points }
}
