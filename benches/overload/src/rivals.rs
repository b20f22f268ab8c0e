//! What the lab is known to say of the other limits. Where it no longer does, a comparison with them may no longer be fair.

use crate::lab::{self, Cell};
use crate::metrics::Outcome;
use crate::policy::Policy;
use crate::scenario::CAPACITY;

/// What is known of a policy in a scenario.
struct Known {
    scenario: &'static str,
    policy: Policy,
    what: &'static str,
    holds: fn(&Outcome) -> bool,
}

const KNOWN: [Known; 5] = [
    Known { scenario: "steady 2", policy: Policy::None, what: "answers nobody in time", holds: answers_nobody },
    Known { scenario: "steady 2", policy: Policy::Guess(240), what: "answers nobody in time", holds: answers_nobody },
    Known { scenario: "cold start", policy: Policy::Gradient, what: "never finds the capacity", holds: is_never_back },
    Known { scenario: "retry storm", policy: Policy::None, what: "is never back", holds: is_never_back },
    Known { scenario: "1.5, 30th minute", policy: Policy::Gradient, what: "answers half at most", holds: answers_half },
];

fn answers_nobody(outcome: &Outcome) -> bool {
    outcome.goodput < CAPACITY / 1000.0
}

fn answers_half(outcome: &Outcome) -> bool {
    outcome.goodput < CAPACITY / 2.0
}

fn is_never_back(outcome: &Outcome) -> bool {
    outcome.recovery.is_none()
}

/// At twice the capacity, the best first.
const ORDER: [Policy; 4] = [Policy::Guess(24), Policy::Vegas, Policy::Guess(4), Policy::Guess(240)];

/// A line for each thing that is no longer so.
pub fn changed(cells: &[Cell]) -> Vec<String> {
    let known = KNOWN.iter().filter_map(|known| {
        let outcome = lab::find(cells, known.scenario, known.policy)?;
        let line = || format!("{}: {} no longer {}: {outcome:?}", known.scenario, known.policy.name(), known.what);
        (!(known.holds)(outcome)).then(line)
    });
    let pairs = ORDER.windows(2).map(|pair| (pair[0], pair[1])).chain([(Policy::Fast, Policy::Aimd)]);
    let order = pairs.filter_map(|(better, worse)| {
        let [better_one, worse_one] = [better, worse].map(|policy| lab::find(cells, "steady 2", policy));
        let (first, second) = (better_one?.goodput, worse_one?.goodput);
        let line = || format!("steady 2: {} {first:.1}, and {} {second:.1}", better.name(), worse.name());
        (first <= second).then(line)
    });
    known.chain(order).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn everything_known_has_a_scenario_and_a_column() {
        for known in &KNOWN {
            assert!(scenario::named(known.scenario).is_some() && Policy::ALL.contains(&known.policy), "{}", known.what);
        }
        assert!(ORDER.iter().all(|policy| Policy::ALL.contains(policy)));
    }

    #[test]
    fn a_rival_that_has_become_better_is_named() {
        let cell = |policy, goodput| {
            let outcome = Outcome { goodput, recovery: Some(1.0), ..Outcome::default() };
            Cell { scenario: scenario::named("steady 2").unwrap(), policy, outcome }
        };
        assert!(
            changed(&[cell(Policy::None, 0.5), cell(Policy::Vegas, 900.0), cell(Policy::Guess(4), 800.0)]).is_empty()
        );
        let changed = changed(&[cell(Policy::None, 700.0), cell(Policy::Vegas, 900.0), cell(Policy::Guess(4), 950.0)]);
        let [known, order] = &changed[..] else { panic!("{changed:?}") };
        assert!(known.starts_with("steady 2: none no longer answers nobody in time"), "{known}");
        assert_eq!(order, "steady 2: Vegas 900.0, and static 4 950.0");
    }
}
