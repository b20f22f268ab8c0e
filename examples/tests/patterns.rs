//! Runs every pattern. Each asserts what it shows, so one that runs to its end has passed.

mod support;

use support::run;

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
    resize = "resize" says "nothing has changed",
    capacity_by_time = "capacity-by-time" says "queued for",
    two_bounds = "two-bounds" says "bytes",
    many_producers = "many-producers" says "in a line",
    worker_pool = "worker-pool" says "in order",
    paginated_fetch = "paginated-fetch" says "requested",
    work_queue = "work-queue" says "failed alone",
    ordered_by_key = "ordered-by-key" says "every account is in order",
    stale_jobs = "stale-jobs" says "lost (expired)",
    fair_tenants = "fair-tenants" says "fair by tenant 100.0",
    priority_queue = "priority-queue" says "delivered",
    slow_consumer_test = "slow-consumer-test" says "as fast as its consumer",
    composition = "composition" says "stalled",
    bounded_copy = "bounded-copy" says "peak memory",
}
