//! What the default is to reach.

use anyhow::Result;

use crate::clock::MS;
use crate::lab::{self, Cell};
use crate::policy::Policy;
use crate::scenario::{OBJECTIVE, Scenario};

/// Something that [`Fast`](Policy::Fast) is to reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    pub scenario: &'static str,
    /// Good answers per second, in the median of ten seeds; 0 where no number was set, or none that any static limit
    /// reaches.
    pub goodput: f64,
    /// As a share of what the best static limit reaches there, or of what is offered if that is less: nothing can be
    /// answered that is not asked.
    pub of_best: f64,
    /// Most calls that may be refused, as a share.
    pub shed: f64,
    /// Of the admitted, in milliseconds.
    pub p99: f64,
    /// Seconds after which the goodput is back.
    pub recovery: f64,
}

/// Whoever is admitted is answered within the objective.
const IN_TIME: f64 = OBJECTIVE as f64 / MS as f64;

const fn goal(scenario: &'static str, of_best: f64) -> Goal {
    Goal { scenario, goodput: 0.0, of_best, shed: 1.0, p99: IN_TIME, recovery: f64::INFINITY }
}

/// What is offered at 2 × or 10 × and refused takes 1 % or 9 % of the CPU, so nobody answers more than 990 or 909 a second
/// for long. `retrograde 3` was to be 955, which is a little more than what the best of all static limits reaches.
pub const GOALS: [Goal; 17] = [
    Goal { shed: 0.0, ..goal("steady 0.5", 0.999) },
    Goal { shed: 0.0, goodput: 799.0, ..goal("steady 0.8", 0.999) },
    Goal { shed: 0.002, ..goal("steady 0.9", 0.995) },
    goal("steady 1", 0.98),
    goal("steady 1.5", 0.995),
    Goal { goodput: 990.0, ..goal("steady 2", 0.998) },
    Goal { goodput: 905.0, ..goal("steady 10", 0.997) },
    Goal { recovery: 0.5, ..goal("spike", 0.995) },
    Goal { recovery: 1.0, ..goal("capacity halved", 0.985) },
    Goal { recovery: 1.0, ..goal("capacity doubled", 0.99) },
    Goal { recovery: 3.0, ..goal("longer waits", 0.95) },
    Goal { recovery: 1.0, p99: 60.0, goodput: 980.0, ..goal("cold start", 0.99) },
    Goal { recovery: 0.5, ..goal("retry storm", 0.995) },
    Goal { goodput: 980.0, ..goal("downstream 3", 0.995) },
    Goal { goodput: 970.0, ..goal("heavy tail 3", 0.985) },
    goal("bimodal 3", 0.99),
    goal("retrograde 3", 0.995),
];

/// The static limits among which the best is looked for.
const CANDIDATES: [usize; 11] = [10, 12, 14, 16, 18, 20, 24, 28, 34, 48, 80];

/// What the best static limit reaches in a scenario.
#[derive(Debug)]
pub struct Ceiling {
    pub scenario: &'static str,
    pub limit: usize,
    pub goodput: f64,
}

/// Those of the scenarios that there is a goal for.
pub fn ceilings(scenarios: &[Scenario], seeds: u64) -> Result<Vec<Ceiling>> {
    let has_goal = |scenario: &&Scenario| GOALS.iter().any(|goal| goal.scenario == scenario.name);
    let scenarios: Vec<_> = scenarios.iter().filter(has_goal).copied().collect();
    let cells = lab::run(&scenarios, &CANDIDATES.map(Policy::Guess), seeds)?;
    let best = |scenario: &Scenario| {
        let of_it = CANDIDATES.iter().filter_map(|&limit| {
            let goodput = lab::find(&cells, scenario.name, Policy::Guess(limit))?.goodput;
            Some(Ceiling { scenario: scenario.name, limit, goodput })
        });
        of_it.max_by(|a, b| a.goodput.total_cmp(&b.goodput))
    };
    Ok(scenarios.iter().filter_map(best).collect())
}

/// A line for each goal that was missed. With few seeds the numbers a second are a matter of luck, and so is half a percent
/// of the shares: the best of so many limits is also the luckiest.
pub fn missed(cells: &[Cell], ceilings: &[Ceiling], has_few_seeds: bool) -> Vec<String> {
    let judge = |goal: &Goal| {
        let reached = lab::find(cells, goal.scenario, Policy::Fast)?;
        let ceiling = ceilings.iter().find(|ceiling| ceiling.scenario == goal.scenario)?;
        let (goodput, luck) = if has_few_seeds { (0.0, 0.005) } else { (goal.goodput, 0.0) };
        let wanted = goodput.max((goal.of_best - luck) * ceiling.goodput);
        let mut why = Vec::new();
        if reached.goodput < wanted {
            why.push(format!("{:.1} good answers a second, {wanted:.1} wanted", reached.goodput));
        }
        if reached.shed > goal.shed {
            why.push(format!("{:.2} % refused, {:.2} % allowed", 100.0 * reached.shed, 100.0 * goal.shed));
        }
        // It is no number if nobody was answered.
        if reached.p99.is_nan() || reached.p99 >= goal.p99 {
            why.push(format!("a p99 of {:.1} ms, less than {:.1} wanted", reached.p99, goal.p99));
        }
        if goal.recovery.is_finite() && reached.recovery.is_none_or(|seconds| seconds > goal.recovery) {
            why.push(format!("back after {:?} s, {} allowed", reached.recovery, goal.recovery));
        }
        (!why.is_empty()).then(|| format!("{}: {}", goal.scenario, why.join("; ")))
    };
    GOALS.iter().filter_map(judge).chain(drifted(cells)).collect()
}

/// Half an hour of overload must not be felt.
fn drifted(cells: &[Cell]) -> Option<String> {
    let [first, last] = ["1.5, first minute", "1.5, 30th minute"].map(|name| lab::find(cells, name, Policy::Fast));
    let (first, last) = (first?.goodput, last?.goodput);
    (last < 0.99 * first).then(|| format!("1.5 × capacity: {first:.1} in the first minute, {last:.1} in the 30th"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Outcome;
    use crate::scenario;

    const GOOD: Outcome = Outcome {
        offered: 2000.0,
        goodput: 995.0,
        shed: 0.5,
        p50: 20.0,
        p99: 50.0,
        recovery: Some(0.1),
        limits: Vec::new(),
    };

    fn missed_at(name: &'static str, outcome: Outcome, has_few_seeds: bool) -> Vec<String> {
        let scenario = scenario::named(name).unwrap();
        let ceiling = Ceiling { scenario: name, limit: 24, goodput: 995.0 };
        missed(&[Cell { scenario, policy: Policy::Fast, outcome }], &[ceiling], has_few_seeds)
    }

    #[test]
    fn every_goal_has_a_scenario() {
        assert!(GOALS.iter().all(|goal| scenario::named(goal.scenario).is_some()));
    }

    #[test]
    fn a_goal_that_is_missed_is_named_with_its_reason() {
        assert!(missed_at("steady 2", GOOD, false).is_empty());
        let slow = Outcome { goodput: 900.0, p99: f64::NAN, ..GOOD };
        let [line] = &missed_at("steady 2", slow, false)[..] else { panic!("one goal, one line") };
        assert!(line.starts_with("steady 2: 900.0 good answers a second, 993.0 wanted; a p99 of NaN"), "{line}");
        let [line] = &missed_at("spike", Outcome { recovery: None, shed: 2.0, ..GOOD }, false)[..] else {
            panic!("so")
        };
        assert!(line.contains("back after None s, 0.5 allowed") && line.contains("200.00 % refused"), "{line}");
    }

    #[test]
    fn with_few_seeds_the_numbers_a_second_do_not_count_and_the_shares_a_little_less() {
        let nearly = Outcome { goodput: 989.0, ..GOOD };
        assert_eq!(missed_at("steady 2", nearly.clone(), false).len(), 1);
        assert!(missed_at("steady 2", nearly, true).is_empty());
    }
}
