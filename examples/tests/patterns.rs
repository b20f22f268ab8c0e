//! Runs every pattern. Each asserts what it shows, so one that runs to its end has passed.
//!
//! `cargo test` builds the examples before it runs the tests, into the directory next to the one this test is in.

use std::env::consts::EXE_EXTENSION;
use std::process::Command;

/// Runs an example; answers what it printed.
fn run(name: &str) -> String {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("it is target/<profile>/deps/<test>");
    let example = profile.join("examples").join(name).with_extension(EXE_EXTENSION);
    let output = Command::new(&example).output().unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo test --test` does not build examples, `cargo test` does", example.display())
    });
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {}\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
    printed
}

macro_rules! patterns {
    ($($test:ident = $name:literal says $words:literal),+ $(,)?) => {$(
        #[test]
        fn $test() {
            let printed = run($name);
            assert!(printed.contains($words), "it explains itself: {printed}");
        }
    )+};
}

patterns! {
    file_pipeline = "file-pipeline" says "strong earthquakes written",
    drain_by_hand = "drain-by-hand" says "waited",
    slow_iterator = "slow-iterator" says "ahead",
    two_bounds = "two-bounds" says "bytes",
    many_producers = "many-producers" says "in a line",
    worker_pool = "worker-pool" says "in order",
    paginated_fetch = "paginated-fetch" says "requested",
    work_queue = "work-queue" says "failed alone",
    priority_queue = "priority-queue" says "delivered",
    slow_consumer_test = "slow-consumer-test" says "as fast as its consumer",
    composition = "composition" says "stalled",
    bounded_copy = "bounded-copy" says "peak memory",
}
