//! Tower's own layers around the flush target.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushError, FlushOutcome};
use backpressure_core::{State, Strategy};
use tokio::sync::Semaphore;
use tower::limit::{ConcurrencyLimit, RateLimitLayer};
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder};

use crate::support::{Act, Error, INTERVAL, Log, MS, Target, advance, config, settle};

/// Tries a batch as often again.
#[derive(Clone)]
struct Again(usize);

impl<Response, E> Policy<Vec<u32>, Response, E> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Vec<u32>, result: &mut Result<Response, E>) -> Option<Ready<()>> {
        let again = result.is_err() && self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        again.then(|| ready(()))
    }

    fn clone_request(&mut self, batch: &Vec<u32>) -> Option<Vec<u32>> {
        Some(batch.clone())
    }
}

/// A layer that boxes errors does so for a whole batch; the errors of single items follow like this.
fn boxed(outcome: FlushOutcome<u32, Error>) -> FlushOutcome<u32, BoxError> {
    outcome.map_err(Into::into)
}

/// Delivers a hundred items in batches of ten through `service`.
async fn flush_a_hundred<S>(
    service: S,
    concurrency: usize,
) -> (BackpressureController<u32>, Log<(Vec<u32>, FlushError<S::Error>)>)
where
    S: Service<Vec<u32>, Response: Into<FlushOutcome<u32, S::Error>>, Error: Send, Future: Send> + Send + 'static,
{
    let failed = Log::new();
    let config = config(30, 10).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config)
        .flush(service)
        .concurrency(concurrency)
        .keep_copies()
        .on_failed({
            let failed = failed.clone();
            move |items, error| failed.push((items, error))
        })
        .spawn()
        .unwrap();
    for item in 0..100 {
        controller.push(item).await.unwrap();
    }
    controller.flush().await.unwrap();
    (controller, failed)
}

#[tokio::test(start_paused = true)]
async fn a_retry_layer_retries_and_the_controller_hears_of_the_last_answer_alone() {
    let target = Target::new(|call, _| if call % 3 == 2 { Act::Deliver } else { Act::Fail("busy") });
    let service = ServiceBuilder::new().retry(Again(2)).service(target.service());
    let (controller, failed) = flush_a_hundred(service, 1).await;
    assert!(failed.take().is_empty());
    assert_eq!(target.calls().len(), 30);
    assert_eq!(target.delivered(), Vec::from_iter(0..100));
    assert_eq!(controller.snapshot().flush.batches(), 10);

    let target = Target::always(Act::Fail("busy"));
    let service = ServiceBuilder::new().retry(Again(2)).service(target.service());
    let (_, failed) = flush_a_hundred(service, 1).await;
    assert_eq!(failed.take()[9], (Vec::from_iter(90..100), FlushError::Batch("busy")));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_ends_a_flush_that_never_answers_and_its_error_reaches_the_hook() {
    let target = Target::new(|call, _| match call {
        3 => Act::Never,
        5 => Act::Fail("busy"),
        7 => Act::Partial(vec![(71, "bad row")]),
        _ => Act::After(MS, Box::new(Act::Deliver)),
    });
    let service = ServiceBuilder::new().timeout(50 * MS).map_response(boxed).service(target.service());
    let (controller, failed) = flush_a_hundred(service, 1).await;
    let mut failed = failed.take().into_iter();
    let (items, error) = failed.next().unwrap();
    assert_eq!(items, Vec::from_iter(30..40));
    assert!(matches!(error, FlushError::Batch(error) if error.is::<Elapsed>()));
    let (items, error) = failed.next().unwrap();
    assert_eq!(items, Vec::from_iter(50..60));
    assert!(matches!(error, FlushError::Batch(error) if error.to_string() == "busy"));
    let (items, error) = failed.next().unwrap();
    assert!(items == [71] && matches!(error, FlushError::Item(error) if error.to_string() == "bad row"));
    assert_eq!((failed.next().is_none(), controller.snapshot().counts.delivered), (true, 79));
}

#[tokio::test(start_paused = true)]
async fn s4_a_concurrency_limit_below_the_controllers_is_obeyed_without_a_deadlock() {
    let target = Target::always(Act::After(MS, Box::new(Act::Deliver)));
    let service = ServiceBuilder::new().concurrency_limit(1).service(target.service());
    let (controller, _) = flush_a_hundred(service, 3).await;
    assert_eq!((target.peak(), target.delivered().len()), (1, 100));
    assert_eq!(controller.gauge().state(), State::Normal);
}

#[tokio::test(start_paused = true)]
async fn s2_a_shared_permit_is_taken_with_a_batch_in_hand_and_given_back_with_its_answer() {
    let permits = Arc::new(Semaphore::new(1));
    let target = Target::first([Act::Hold]);
    let service = ConcurrencyLimit::with_semaphore(target.service(), permits.clone());
    let controller =
        BackpressureController::builder(config(30, 10).build().unwrap()).flush(service).concurrency(2).spawn().unwrap();
    let push = |items: std::ops::Range<u32>| items.for_each(|item| assert!(controller.try_push(item).is_ok()));
    push(0..9);
    settle().await;
    assert_eq!(permits.available_permits(), 1, "a partial batch that may wait holds no permit");
    push(9..10);
    settle().await;
    assert_eq!((target.in_flight(), permits.available_permits()), (1, 0));
    push(10..20);
    settle().await;
    assert_eq!(target.in_flight(), 1, "there is no second permit");
    target.answer(0, Act::Deliver);
    settle().await;
    assert_eq!((target.delivered().len(), permits.available_permits()), (20, 1), "nor is one kept for later");

    let elsewhere = permits.clone().acquire_owned().await.unwrap();
    push(20..30);
    let report = controller.drain(INTERVAL).await;
    assert_eq!(report.abandoned, Vec::from_iter(20..30), "a permit that never comes does not hold up the drain");
    drop(elsewhere);
    settle().await;
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_spaces_the_batches_and_the_producers_wait() {
    let target = Target::always(Act::Deliver);
    let service = RateLimitLayer::new(2, INTERVAL);
    let service = ServiceBuilder::new().layer(service).service(target.service());
    let (controller, _) = flush_a_hundred(service, 4).await;
    let times: Vec<Duration> = (0..10).map(|batch| batch / 2 * INTERVAL).collect();
    // Tokio's timer is as fine as a millisecond.
    assert!(target.times().iter().zip(&times).all(|(time, expected)| time.abs_diff(*expected) <= 5 * MS));
    assert_eq!(target.delivered(), Vec::from_iter(0..100));
    assert!(controller.snapshot().producer_wait_p99.is_some());
}

#[tokio::test(start_paused = true)]
async fn o1_a_whole_stack_keeps_the_order() {
    let target = Target::new(|call, _| match call % 5 {
        1 => Act::Never,
        3 => Act::Fail("busy"),
        _ => Act::After(3 * MS, Box::new(Act::Deliver)),
    });
    let service = ServiceBuilder::new()
        .rate_limit(3, INTERVAL)
        .concurrency_limit(2)
        .retry(Again(1))
        .timeout(50 * MS)
        .map_response(boxed)
        .service(target.service());
    let (controller, failed) = flush_a_hundred(service, 1).await;
    assert!(failed.take().is_empty());
    assert_eq!(target.delivered(), Vec::from_iter(0..100));
    assert!(controller.drain(MS).await.is_complete());
    advance(INTERVAL).await;
}
