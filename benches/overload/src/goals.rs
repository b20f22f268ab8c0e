//! What the default is to reach.

use anyhow::Result;

use crate::lab::{self, Cell};
use crate::policy::Policy;
use crate::scenario::Scenario;

/// Something that [`Fast`](Policy::Fast) is to reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    pub scenario: &'static str,
    /// As a share of what the best static limit reaches there, or of what is offered if that is less: nothing can be
    /// answered that is not asked.
    pub of_best: f64,
    /// Most calls that may be refused, as a share.
    pub shed: f64,
    /// Seconds after which the goodput is back.
    pub recovery: f64,
}

const fn goal(scenario: &'static str, of_best: f64) -> Goal {
    Goal { scenario, of_best, shed: 1.0, recovery: f64::INFINITY }
}

pub const GOALS: [Goal; 17] = [
    Goal { shed: 0.0, ..goal("steady 0.5", 0.999) },
    Goal { shed: 0.0, ..goal("steady 0.8", 0.999) },
    Goal { shed: 0.002, ..goal("steady 0.9", 0.995) },
    goal("steady 1", 0.98),
    goal("steady 1.5", 0.99),
    goal("steady 2", 0.99),
    goal("steady 10", 0.99),
    Goal { recovery: 0.5, ..goal("spike", 0.99) },
    Goal { recovery: 1.0, ..goal("capacity halved", 0.98) },
    Goal { recovery: 1.0, ..goal("capacity doubled", 0.98) },
    Goal { recovery: 3.0, ..goal("longer waits", 0.94) },
    Goal { recovery: 1.0, ..goal("cold start", 0.98) },
    Goal { recovery: 0.5, ..goal("retry storm", 0.99) },
    goal("downstream 3", 0.99),
    goal("heavy tail 3", 0.97),
    goal("bimodal 3", 0.98),
    goal("retrograde 3", 0.98),
];

/// The static limits among which the best is looked for.
const CANDIDATES: [usize; 10] = [10, 12, 14, 16, 20, 24, 28, 34, 48, 80];

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

/// A line for each goal that was missed.
pub fn missed(cells: &[Cell], ceilings: &[Ceiling]) -> Vec<String> {
    let judge = |goal: &Goal| {
        let reached = lab::find(cells, goal.scenario, Policy::Fast)?;
        let ceiling = ceilings.iter().find(|ceiling| ceiling.scenario == goal.scenario)?;
        let wanted = goal.of_best * ceiling.goodput;
        let mut why = Vec::new();
        if reached.goodput < wanted {
            why.push(format!("{:.1} good answers a second, {wanted:.1} wanted", reached.goodput));
        }
        if reached.shed > goal.shed {
            why.push(format!("{:.2} % refused, {:.2} % allowed", 100.0 * reached.shed, 100.0 * goal.shed));
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

/// The short version of the lab: shorter runs of the same scenarios, one seed each.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Outcome;
    use crate::scenario::{DISTURBED, LOADS};
    use crate::simulation::Simulation;

    fn scenario(name: &str) -> Option<Scenario> {
        LOADS.iter().map(|(_, scenario)| *scenario).chain(DISTURBED).find(|scenario| scenario.name == name)
    }

    fn run(scenario: &Scenario, policy: Policy) -> Outcome {
        Simulation::new(scenario, policy, 1).unwrap().run()
    }

    fn whole(name: &str, policy: Policy) -> Outcome {
        run(&scenario(name).unwrap(), policy)
    }

    /// The first seconds of a steady scenario, measured once the limit has been found.
    fn brief(name: &str, policy: Policy) -> Outcome {
        run(&Scenario { from: 3.0, to: 8.0, ..scenario(name).unwrap() }, policy)
    }

    #[test]
    fn every_goal_has_a_scenario() {
        assert!(GOALS.iter().all(|goal| scenario(goal.scenario).is_some()));
    }

    #[test]
    fn where_there_is_room_nobody_is_refused() {
        for name in ["steady 0.2", "steady 0.5", "steady 0.8"] {
            let fast = brief(name, Policy::Fast);
            assert_eq!(fast.shed, 0.0, "{name}");
            assert!(fast.goodput > 0.999 * fast.offered, "{name}: {fast:?}");
        }
    }

    #[test]
    fn at_twice_the_capacity_the_default_is_as_good_as_the_best_guess_and_the_others_come_after() {
        let goodput = |policy| brief("steady 2", policy).goodput;
        let [fast, right, vegas, low] = [Policy::Fast, Policy::Guess(24), Policy::Vegas, Policy::Guess(4)].map(goodput);
        let [high, aimd, none] = [Policy::Guess(240), Policy::Aimd, Policy::None].map(goodput);
        assert!(fast > 980.0 && fast > 0.99 * right, "{fast} {right}");
        assert!(right > vegas && vegas > low && low > high, "{right} {vegas} {low} {high}");
        assert!(fast > aimd && high < 1.0 && none < 1.0, "{aimd} {high} {none}");
    }

    #[test]
    fn the_default_holds_at_ten_times_the_capacity_and_with_other_kinds_of_work() {
        for (name, goal) in
            [("steady 10", 900.0), ("downstream 3", 980.0), ("bimodal 3", 940.0), ("retrograde 3", 930.0)]
        {
            let fast = brief(name, Policy::Fast);
            assert!(fast.goodput >= goal && fast.p99 < 110.0, "{name}: {} {}", fast.goodput, fast.p99);
        }
        // A few seconds of a heavy tail are a lottery; static 24 is what they could have given.
        let [fast, right] = [Policy::Fast, Policy::Guess(24)].map(|policy| whole("heavy tail 3", policy).goodput);
        assert!(fast > 0.93 * right, "{fast} {right}");
    }

    #[test]
    fn the_default_is_back_within_seconds_of_what_happened() {
        for (name, seconds) in [
            ("spike", 0.5),
            ("capacity halved", 1.0),
            ("capacity doubled", 1.0),
            ("longer waits", 3.0),
            ("cold start", 1.0),
        ] {
            let fast = whole(name, Policy::Fast);
            assert!(fast.recovery.is_some_and(|back| back <= seconds), "{name}: {:?}", fast.recovery);
        }
        assert_eq!(whole("cold start", Policy::Gradient).recovery, None);
    }

    #[test]
    fn after_a_retry_storm_everybody_is_answered_again() {
        let fast = whole("retry storm", Policy::Fast);
        assert!(fast.goodput > 0.995 * fast.offered, "{} of {}", fast.goodput, fast.offered);
        assert_eq!(whole("retry storm", Policy::None).recovery, None);
    }

    #[test]
    fn a_minute_of_overload_moves_gradient_and_not_the_default() {
        let scenario = Scenario { from: 50.0, to: 60.0, ..scenario("1.5, first minute").unwrap() };
        let late = |policy| run(&scenario, policy).goodput;
        assert!(late(Policy::Fast) > 980.0);
        assert!(late(Policy::Gradient) < 500.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (one, other) = (brief("heavy tail 3", Policy::Fast), brief("heavy tail 3", Policy::Fast));
        assert_eq!((one.goodput, one.p99, one.limits), (other.goodput, other.p99, other.limits));
    }
}
