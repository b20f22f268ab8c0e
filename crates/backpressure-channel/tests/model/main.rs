//! The channel against a simple model of it, step by step, under random schedules of polls, drops and cancellations.
//!
//! After every step the two agree on every answer, on the fate of every item, on every number of the ledger, and on
//! who has been woken how often: no wake is lost, and none is given for nothing.

mod item;
mod model;
mod sinks;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod world;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn c2_d3_o4_r1_r2_r3_r4_w2_x1_the_channel_does_what_the_model_says(
        rules in steps::rules(),
        steps in prop::collection::vec(steps::step(), 1..80),
    ) {
        let mut world = world::World::new(rules);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.come_to_rest();
        world.end();
    }
}
