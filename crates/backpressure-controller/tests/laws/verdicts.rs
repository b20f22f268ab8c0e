//! What a flush target says about another try: for each item and for each batch.

use std::error::Error as _;
use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushError, Verdict};

use crate::support::{Act, Error, Log, MS, Target, config, settle};

type Failed = Log<(Vec<u32>, FlushError<Error>)>;

const SECOND: Duration = Duration::from_secs(1);

/// A controller with batches of three and what it is built with.
macro_rules! spawn {
    ($target:expr, $failed:expr $(, .$method:ident($($argument:expr)*))* $(,)?) => {{
        let failed: Failed = $failed.clone();
        BackpressureController::builder(config(1_000, 3).build().unwrap())
            .flush($target.service())
            .on_failed(move |items, error| failed.push((items, error)))
            $(.$method($($argument)*))*
            .spawn()
            .unwrap()
    }};
}

/// By what an error says.
fn judge(error: &Error) -> Verdict {
    match *error {
        "final" => Verdict::Final,
        "later" => Verdict::RetryAfter(4 * SECOND),
        "never" => Verdict::RetryAfter(Duration::MAX),
        "panic" => panic!("a careless judge"),
        _ => Verdict::Retry,
    }
}

/// Fails these items of a batch, with these errors and no verdict.
fn failing(failures: &'static [(u32, Error)]) -> Target<u32> {
    Target::new(move |_, batch| {
        let errors = batch.iter().filter_map(|item| failures.iter().find(|(failing, _)| failing == item));
        Act::Partial(errors.copied().collect())
    })
}

async fn flush_all(controller: &BackpressureController<u32>, items: u32) {
    (0..items).for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
    controller.flush().await.unwrap();
}

fn counts(controller: &BackpressureController<u32>) -> (u64, u64) {
    let counts = controller.snapshot().counts;
    assert!(counts.balances() && counts.queued == 0 && counts.in_flight == 0, "{counts:?}");
    (counts.delivered, counts.failed())
}

fn times(target: &Target<u32>) -> Vec<(Vec<u32>, Duration)> {
    target.calls().into_iter().map(|call| (call.items, call.at)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_item_that_failed_for_good_is_tried_once_and_the_next_batch_is_not_late() {
    let explicit = Target::first([Act::Judged(vec![(1, "final", Verdict::Final)])]);
    for target in [explicit, failing(&[(1, "final")])] {
        let failed = Failed::new();
        let controller = spawn!(target, failed, .retry([SECOND, 10 * SECOND]), .judge_by(judge));
        flush_all(&controller, 6).await;
        assert_eq!(times(&target), [(vec![0, 1, 2], Duration::ZERO), (vec![3, 4, 5], Duration::ZERO)]);
        assert_eq!(failed.take(), [(vec![1], FlushError::Final("final"))]);
        assert_eq!(counts(&controller), (5, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_failed_for_good_is_tried_once_and_the_next_is_not_late() {
    let (target, failed) = (Target::first([Act::Fail("final")]), Failed::new());
    let controller = spawn!(target, failed, .retry([SECOND, 10 * SECOND]), .judge_by(judge));
    flush_all(&controller, 6).await;
    assert_eq!(times(&target), [(vec![0, 1, 2], Duration::ZERO), (vec![3, 4, 5], Duration::ZERO)]);
    assert_eq!(failed.take(), [(vec![0, 1, 2], FlushError::Final("final"))]);
    assert_eq!(counts(&controller), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn every_item_waits_by_itself_and_the_final_ones_not_at_all() {
    let target = Target::first([Act::Judged(vec![
        (0, "busy", Verdict::RetryAfter(4 * SECOND)),
        (1, "bad", Verdict::Final),
        (2, "deadlock", Verdict::Retry),
    ])]);
    let failed = Failed::new();
    let controller = spawn!(target, failed, .retry([SECOND, 10 * SECOND]));
    (0..3).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    assert_eq!(failed.take(), [(vec![1], FlushError::Final("bad"))], "it is told at once");
    controller.flush().await.unwrap();
    assert_eq!(times(&target)[1..], [(vec![2], SECOND), (vec![0], 4 * SECOND)]);
    assert_eq!(counts(&controller), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_longer_of_two_waits_counts_and_a_wait_that_is_asked_for_uses_up_a_retry() {
    let (target, failed) = (failing(&[(0, "later"), (2, "again")]), Failed::new());
    let controller = spawn!(target, failed, .retry([SECOND, 10 * SECOND]), .judge_by(judge));
    flush_all(&controller, 3).await;
    let at = |seconds| seconds * SECOND;
    let expected = [(vec![0, 1, 2], at(0)), (vec![2], at(1)), (vec![0], at(4)), (vec![2], at(11)), (vec![0], at(14))];
    assert_eq!(times(&target), expected, "each part has two retries");
    let told = [(vec![2], FlushError::Item("again")), (vec![0], FlushError::RetryAfter("later", 4 * SECOND))];
    assert_eq!(failed.take(), told);
    assert_eq!(counts(&controller), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_batch_comes_back_as_late_as_it_asks() {
    let (target, failed) = (Target::first([Act::Fail("later"), Act::Fail("later")]), Failed::new());
    let controller = spawn!(target, failed, .retry([SECOND, 10 * SECOND]), .judge_by(judge));
    flush_all(&controller, 3).await;
    assert_eq!(target.times(), [Duration::ZERO, 4 * SECOND, 14 * SECOND]);
    assert_eq!(counts(&controller), (3, 0));
    assert!(failed.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn d6_a_wait_for_ever_is_capped_and_holds_nothing_up_for_longer() {
    for cap in [None, Some(Duration::ZERO), Some(5 * SECOND)] {
        let (target, failed) = (Target::first([Act::Fail("never"), Act::Deliver, Act::Fail("never")]), Failed::new());
        let (controller, cap) = match cap {
            Some(cap) => {
                (spawn!(target, failed, .retry([SECOND]), .judge_by(judge), .cap_retry_after(cap)), cap.max(SECOND))
            }
            None => (spawn!(target, failed, .retry([SECOND]), .judge_by(judge)), 30 * SECOND),
        };
        flush_all(&controller, 9).await;
        assert_eq!(target.times(), [Duration::ZERO, cap, cap, 2 * cap, 2 * cap]);
        assert_eq!(counts(&controller), (9, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_does_not_wait_for_a_retry_beyond_its_deadline() {
    let target = Target::always(Act::Judged(vec![(1, "busy", Verdict::RetryAfter(Duration::MAX))]));
    let controller = spawn!(target, Failed::new(), .retry([SECOND]), .cap_retry_after(Duration::MAX));
    (0..3).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    let report = controller.drain(SECOND).await;
    assert_eq!((report.abandoned, report.elapsed), (vec![1], SECOND));
}

#[tokio::test(start_paused = true)]
async fn without_retries_every_verdict_is_told_at_once() {
    let target = Target::first([
        Act::Judged(vec![
            (0, "a", Verdict::Retry),
            (1, "b", Verdict::RetryAfter(Duration::MAX)),
            (2, "c", Verdict::Final),
        ]),
        Act::Fail("later"),
    ]);
    let failed = Failed::new();
    let controller = spawn!(target, failed, .keep_copies(), .judge_by(judge));
    flush_all(&controller, 6).await;
    let (capped, later) = (30 * SECOND, 4 * SECOND);
    let told = failed.take();
    let expected = [
        (vec![0], FlushError::Item("a")),
        (vec![1], FlushError::RetryAfter("b", capped)),
        (vec![2], FlushError::Final("c")),
        (vec![3, 4, 5], FlushError::RetryAfter("later", later)),
    ];
    assert_eq!(told, expected);
    let verdicts: Vec<_> = told.iter().map(|(_, error)| error.verdict()).collect();
    let expected = [Verdict::Retry, Verdict::RetryAfter(capped), Verdict::Final, Verdict::RetryAfter(later)];
    assert_eq!(verdicts, expected, "so that whoever is told can do what was asked for");
    assert_eq!(target.times(), [Duration::ZERO; 2]);
    assert_eq!(counts(&controller), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn the_outcome_has_the_last_word_and_a_judge_that_panics_says_retry() {
    let acts = [Act::Judged(vec![(0, "final", Verdict::Retry)]), Act::Fail("panic")];
    let (target, failed) = (Target::first(acts), Failed::new());
    let controller = spawn!(target, failed, .retry([SECOND, SECOND]), .judge_by(judge));
    flush_all(&controller, 3).await;
    assert_eq!(target.batches(), [vec![0, 1, 2], vec![0], vec![0]]);
    assert_eq!(counts(&controller), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn bisection_of_a_batch_that_failed_for_good_begins_at_once_and_leaves_its_halves_their_retries() {
    let busy = std::sync::atomic::AtomicBool::new(true);
    let target = Target::new(move |_, batch| match batch {
        [_] if batch != [1] && busy.swap(false, std::sync::atomic::Ordering::Relaxed) => Act::Fail("busy"),
        _ if batch.contains(&1) => Act::Fail("final"),
        _ => Act::Deliver,
    });
    let failed = Failed::new();
    let controller = spawn!(target, failed, .retry([SECOND, 10 * SECOND]), .bisect(), .judge_by(judge));
    flush_all(&controller, 3).await;
    let expected = [
        (vec![0, 1, 2], Duration::ZERO),
        (vec![0], Duration::ZERO),
        (vec![1, 2], Duration::ZERO),
        (vec![1], Duration::ZERO),
        (vec![2], Duration::ZERO),
        (vec![0], SECOND),
    ];
    assert_eq!(times(&target), expected);
    assert_eq!(failed.take(), [(vec![1], FlushError::Final("final"))]);
    assert_eq!(counts(&controller), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn halves_of_a_batch_that_asks_for_a_wait_go_no_sooner() {
    let (target, failed) = (Target::first([Act::Fail("later")]), Failed::new());
    let controller = spawn!(target, failed, .bisect(), .judge_by(judge));
    flush_all(&controller, 3).await;
    assert_eq!(times(&target)[1..], [(vec![0], 4 * SECOND), (vec![1, 2], 4 * SECOND)]);
    assert_eq!(counts(&controller), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn what_one_flush_left_behind_goes_together_once_it_is_due() {
    let act = Act::Judged(vec![
        (0, "busy", Verdict::RetryAfter(2 * SECOND)),
        (1, "busy", Verdict::RetryAfter(3 * SECOND)),
        (2, "busy", Verdict::RetryAfter(4 * SECOND)),
    ]);
    let target = Target::first([act, Act::After(5 * SECOND, Box::new(Act::Partial(vec![(0, "again")])))]);
    let controller = spawn!(target, Failed::new(), .retry([MS, MS]));
    flush_all(&controller, 3).await;
    let expected = [(vec![0], 2 * SECOND), (vec![1, 2], 7 * SECOND), (vec![0], 7 * SECOND + MS)];
    assert_eq!(times(&target)[1..], expected, "but not with what was tried once more");
    assert_eq!(counts(&controller), (3, 0));
}

#[test]
fn every_error_shows_what_it_comes_from() {
    #[derive(Debug)]
    struct Cause;
    impl std::fmt::Display for Cause {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cause")
        }
    }
    impl std::error::Error for Cause {}
    let errors = [
        FlushError::Item(Cause),
        FlushError::Batch(Cause),
        FlushError::RetryAfter(Cause, SECOND),
        FlushError::Final(Cause),
        FlushError::Unavailable(Some(Cause)),
    ];
    for error in errors {
        assert!(error.to_string().ends_with(": cause") && error.inner().is_some(), "{error}");
        assert!(error.source().is_none(), "told once, in the text");
    }
    assert_eq!(FlushError::<Cause>::Panicked.to_string(), "flush panicked");
}
