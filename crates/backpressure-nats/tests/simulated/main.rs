//! The scenarios before a model of the server, in simulated time.

mod kills;
mod load;
#[path = "../model/mod.rs"]
mod model;
#[path = "../scenarios/mod.rs"]
mod scenarios;

use anyhow::Result;
use model::Paper;
use scenarios::{bounds, failures, outages};

macro_rules! scenarios {
    ($($module:ident :: $name:ident;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() -> Result<()> {
                $module::$name(&Paper::default()).await
            }
        )*
    };
}

scenarios! {
    bounds::a_slow_worker_does_not_hold_up_a_fast_one;
    bounds::max_ack_pending_is_smaller_than_a_batch;
    bounds::a_message_larger_than_the_bound_comes_alone;
    bounds::a_source_that_is_not_read_stops_at_its_window;
    failures::poison_ends_among_the_dead_letters;
    failures::the_last_permitted_delivery_is_not_given_back;
    failures::a_drain_under_load_leaves_nothing_behind;
    failures::a_source_ends_when_its_consumer_is_gone;
    outages::the_server_is_killed_and_comes_back;
    outages::the_database_hangs_for_longer_than_ack_wait;
    outages::a_worker_hangs_for_longer_than_it_may;
}
