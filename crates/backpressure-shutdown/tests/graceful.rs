//! A whole service on a paused clock: the order of its stages, its one deadline and its one report.

use std::fmt;
use std::future::{Future, pending};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backpressure_core::Drained;
use backpressure_shutdown::{Cause, GracefulShutdown};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// What a drain came to.
struct Left(usize);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} left", self.0)
    }
}

impl Drained for Left {
    fn is_complete(&self) -> bool {
        self.0 == 0
    }
}

/// What happened, in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    /// A part that takes so long to drain, but no longer than it may, and is not complete then.
    fn part(&self, name: &'static str, takes: Duration) -> impl FnOnce(Duration) -> Waits + Send + use<> {
        let log = self.clone();
        move |time| {
            log.note(name);
            Box::pin(async move { Left(usize::from(timeout(time, sleep(takes)).await.is_err())) }) // tidy: paused clock
        }
    }
}

type Waits = std::pin::Pin<Box<dyn Future<Output = Left> + Send>>;

#[tokio::test(start_paused = true)]
async fn stages_run_from_the_outside_in_whatever_the_order_in_which_they_are_named() {
    let log = Log::default();
    let graceful = GracefulShutdown::when(5000 * MS, sleep(1000 * MS)); // tidy: paused clock
    let (closing, server_log) = (graceful.closing(), log.clone());
    let server = async move {
        server_log.note("serves");
        closing.await;
        server_log.note("closes");
        Ok::<_, fmt::Error>(())
    };
    let report = graceful
        .buffer("front", log.part("front", 10 * MS))
        .buffer("back", log.part("back", 20 * MS))
        .server("server", server)
        .requests("requests", log.part("requests", 30 * MS))
        .run()
        .await;
    assert_eq!(log.read(), ["serves", "requests", "closes", "front", "back"]);
    assert!(report.is_complete() && report.exit_code() == ExitCode::SUCCESS);
    assert_eq!((report.cause(), report.took()), (Cause::Asked, 60 * MS));
    assert_eq!(
        report.to_string(),
        "shut down in 60 ms (on request)\n  requests    30 ms  0 left\n  server       0 ms  ended\n  front       10 ms  0 left\n  back        20 ms  0 left"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_answered_by_the_server_while_they_are_waited_for() {
    let (answered, waited_for) = tokio::sync::oneshot::channel();
    let graceful = GracefulShutdown::when(5000 * MS, async {});
    let closing = graceful.closing();
    let server = async move {
        sleep(100 * MS).await; // tidy: paused clock
        let _ = answered.send(());
        closing.await;
        Ok::<_, fmt::Error>(())
    };
    let drain = |time| async move { Left(usize::from(timeout(time, waited_for).await.is_err())) };
    let report = graceful.requests("requests", drain).server("server", server).run().await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.took(), 100 * MS);
}

#[tokio::test(start_paused = true)]
async fn t7_parts_that_never_end_are_cut_off_at_the_one_deadline_and_named() {
    let log = Log::default();
    let start = Instant::now();
    let report = GracefulShutdown::when(6000 * MS, async {})
        .requests("requests", log.part("requests", Duration::MAX))
        .server("server", pending::<Result<(), fmt::Error>>())
        .buffer("buffer", log.part("buffer", Duration::MAX))
        .run()
        .await;
    let late = start.elapsed() - 6000 * MS;
    assert!(late <= 3 * MS, "{late:?}");
    assert!(!report.is_complete() && report.exit_code() == ExitCode::from(2));
    let stages: Vec<_> = report.stages().iter().map(|stage| (stage.name, stage.is_complete, &*stage.text)).collect();
    let cut_off = ("server", false, "cut off at the deadline");
    assert_eq!(stages, [("requests", false, "1 left"), cut_off, ("buffer", false, "1 left")]);
    assert!(report.to_string().starts_with("shut down in 6.0 s (on request), incomplete\n"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_by_itself_begins_the_shutdown_and_its_error_is_told() {
    let log = Log::default();
    let report = GracefulShutdown::when(5000 * MS, pending())
        .server("http", async {
            sleep(MS).await; // tidy: paused clock
            Err("address in use")
        })
        .server("grpc", pending::<Result<(), fmt::Error>>())
        .buffer("buffer", log.part("buffer", MS))
        .run()
        .await;
    assert_eq!(report.cause(), Cause::Ended("http"));
    assert_eq!(report.stages()[0].text, "failed: address in use");
    assert!(!report.stages()[1].is_complete && report.stages()[2].is_complete);
    assert_eq!(log.read(), ["buffer"]);
}

#[tokio::test(start_paused = true)]
async fn x1_a_shutdown_that_is_dropped_lets_its_servers_go_and_drains_nothing() {
    let log = Log::default();
    let graceful = GracefulShutdown::when(5000 * MS, pending());
    let closing = graceful.closing();
    let guard = Arc::new(());
    let kept = Arc::clone(&guard);
    let server = async move { (pending::<Result<(), fmt::Error>>().await, drop(kept)).0 };
    let run = graceful.server("server", server).buffer("buffer", log.part("buffer", MS)).run();
    assert!(timeout(1000 * MS, run).await.is_err());
    assert_eq!(Arc::strong_count(&guard), 1);
    closing.await;
    assert!(log.read().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn the_first_signal_begins_it_and_the_second_calls_the_hook() {
    use std::process::Command;

    use backpressure_shutdown::Signal;

    fn kill(name: &str) {
        assert!(Command::new("kill").args([name, &std::process::id().to_string()]).status().unwrap().success());
    }

    let (asked_again, waited_for) = tokio::sync::oneshot::channel();
    let graceful = GracefulShutdown::on_signal(Duration::from_secs(60)).unwrap();
    let drain = |_| async move {
        // The handler of the second signal is there before a stage begins.
        kill("-INT");
        Left(usize::from(waited_for.await.is_err()))
    };
    let running = graceful.on_second_signal(move || asked_again.send(()).unwrap()).requests("requests", drain).run();
    kill("-TERM");
    let report = running.await;
    assert_eq!(report.cause(), Cause::Signal(Signal::Terminate));
    assert!(report.is_complete(), "{report}");
    assert!(report.to_string().contains("(SIGTERM)"), "{report}");
}
