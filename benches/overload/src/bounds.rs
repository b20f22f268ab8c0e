//! What any limiter that deserves to be the default keeps, as ratios with room in them: a better one changes none of it.
//!
//! How good the default is today, and how much worse the others, is for `cargo xtask overload`: see `goals.rs` and `rivals.rs`.

use crate::clock::MS;
use crate::metrics::Outcome;
use crate::policy::Policy;
use crate::scenario::{self, OBJECTIVE, Scenario};
use crate::simulation::Simulation;

fn run(scenario: &Scenario, policy: Policy) -> Outcome {
    Simulation::new(scenario, policy, 1).unwrap().run()
}

fn whole(name: &str, policy: Policy) -> Outcome {
    run(&scenario::named(name).unwrap(), policy)
}

/// Some seconds of a steady scenario, from this one on.
fn part(name: &str, from: f64, to: f64, policy: Policy) -> Outcome {
    run(&Scenario { from, to, ..scenario::named(name).unwrap() }, policy)
}

/// The first seconds, once the limit has been found.
fn beginning(name: &str, policy: Policy) -> Outcome {
    part(name, 3.0, 8.0, policy)
}

#[test]
fn where_there_is_room_nobody_is_refused() {
    for name in ["steady 0.2", "steady 0.5", "steady 0.8"] {
        let fast = beginning(name, Policy::Fast);
        assert!(fast.shed < 0.001 && fast.goodput > 0.99 * fast.offered, "{name}: {fast:?}");
    }
}

#[test]
fn under_overload_the_default_answers_nine_tenths_of_what_the_best_static_limit_does() {
    for name in ["steady 2", "steady 10", "downstream 3", "heavy tail 3", "bimodal 3", "retrograde 3"] {
        let fast = beginning(name, Policy::Fast);
        let best = [12, 16, 24, 34].map(|limit| beginning(name, Policy::Guess(limit)).goodput);
        let best = best.into_iter().fold(0.0, f64::max);
        assert!(fast.goodput > 0.9 * best, "{name}: {} of {best}", fast.goodput);
        assert!(fast.p99 * (MS as f64) < 2.0 * OBJECTIVE as f64, "{name}: {} ms", fast.p99);
    }
}

#[test]
fn after_a_disturbance_the_default_is_back_within_a_quarter_of_the_time_that_is_left() {
    let names = ["spike", "capacity halved", "capacity doubled", "longer waits", "cold start", "retry storm"];
    for name in names {
        let scenario = scenario::named(name).unwrap();
        let left = scenario.to - scenario.recovers_from.unwrap();
        let fast = run(&scenario, Policy::Fast);
        assert!(fast.recovery.is_some_and(|back| back < left / 4.0), "{name}: {:?} of {left} s", fast.recovery);
    }
}

#[test]
fn after_a_retry_storm_nearly_everybody_is_answered_again() {
    let fast = whole("retry storm", Policy::Fast);
    assert!(fast.goodput > 0.95 * fast.offered, "{} of {}", fast.goodput, fast.offered);
}

#[test]
fn a_minute_of_overload_does_not_wear_the_default_down() {
    let [early, late] = [5.0, 50.0].map(|from| part("1.5, first minute", from, from + 10.0, Policy::Fast).goodput);
    assert!(late > 0.95 * early, "{early} {late}");
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let [one, other] = [(); 2].map(|()| beginning("heavy tail 3", Policy::Fast));
    assert_eq!((one.goodput, one.p99, one.limits), (other.goodput, other.p99, other.limits));
}
