//! One deadline over all stages, on a paused clock, and the signals that begin it.

use std::future::pending;
use std::time::Duration;

use backpressure_shutdown::Shutdown;
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn t7_stages_that_never_end_are_over_at_the_one_deadline() {
    for stages in [&["a"][..], &["a", "b", "c"], &["a", "b", "c", "d", "e"]] {
        let start = Instant::now();
        let mut shutdown = Shutdown::new(5000 * MS, stages.iter().copied());
        for _ in stages {
            assert!(shutdown.stage(|time| timeout(time, pending::<()>())).await.is_err());
        }
        // A timer of tokio ends within a millisecond after its time.
        let late = start.elapsed() - 5000 * MS;
        assert!(late <= MS * stages.len() as u32, "{late:?}");
        assert_eq!(shutdown.left(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_done_leaves_its_time_to_the_next() {
    let mut shutdown = Shutdown::new(6000 * MS, ["requests", "connections", "buffer"]);
    shutdown.stage(|time| async move { assert_eq!(time, 4000 * MS) }).await;
    let told = shutdown.stage(|time| async move { (time, sleep(100 * MS).await).0 }).await; // tidy: paused clock
    assert_eq!(told, 5000 * MS);
    shutdown.stage(|time| async move { assert_eq!(time, 5900 * MS) }).await;
    shutdown.stage(|time| async move { assert_eq!(time, 5900 * MS, "a stage without a name") }).await;
    assert_eq!(
        shutdown.to_string(),
        "shut down in 100 ms: requests 0 ms, connections 100 ms, buffer 0 ms, and more 0 ms"
    );
}

#[tokio::test(start_paused = true)]
async fn x1_a_stage_that_is_dropped_is_not_over() {
    let mut shutdown = Shutdown::new(4000 * MS, ["a", "b"]);
    assert!(timeout(1000 * MS, shutdown.stage(|_| pending::<()>())).await.is_err());
    assert_eq!(shutdown.stages().count(), 0);
    let told = shutdown.stage(|time| async move { time }).await;
    assert_eq!(told, 2000 * MS, "of the 3 s that are left, 1 s is kept for the other");
    assert_eq!(shutdown.stages().next(), Some(("a", Duration::ZERO)));
}

#[cfg(unix)]
#[tokio::test]
async fn either_signal_is_a_request() {
    use std::process::Command;

    use backpressure_shutdown::{Signal, requested};

    for (name, signal) in [("-TERM", Signal::Terminate), ("-INT", Signal::Interrupt)] {
        let requested = requested().unwrap();
        let sent = Command::new("kill").args([name, &std::process::id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(requested.await, signal);
    }
}
