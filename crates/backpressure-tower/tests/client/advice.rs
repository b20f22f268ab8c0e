//! Retries come when the service wants them, in whatever form it says so.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use backpressure_tower::{GrpcRefusals, HttpRefusals, Judge, RetryBudget, RetryLayer};
use http::{Response, StatusCode};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, ServiceExt, service_fn};

use crate::kit::MS;

type Answer = Response<()>;

/// How long it takes to get through to a service whose first answer is this one, and how many calls it gets.
async fn wait_for<J>(judge: J, first: Answer) -> (Duration, u32)
where
    J: Judge<Answer, Infallible> + Clone,
{
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |()| {
        let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        ready(Ok(if is_first { first.clone() } else { Response::new(()) }))
    });
    let start = Instant::now();
    let client = RetryLayer::new(RetryBudget::default()).judge(judge).layer(service);
    client.oneshot(()).await.unwrap();
    (start.elapsed(), calls.load(Ordering::Relaxed))
}

fn refused(headers: &[(&str, &str)]) -> Answer {
    let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
    headers.iter().fold(response, |response, (name, value)| response.header(*name, *value)).body(()).unwrap()
}

fn unavailable(errors: ErrorDetails) -> Answer {
    Status::with_error_details(Code::Unavailable, "overloaded", errors).into_http()
}

/// The back-off before the first retry, and the granularity of the timer.
const JITTER: Duration = Duration::from_millis(51);

#[tokio::test(start_paused = true)]
async fn s3_the_retry_info_of_a_status_is_waited_for() {
    let errors = ErrorDetails::with_retry_info(Some(30_000 * MS));
    let (waited, calls) = wait_for(GrpcRefusals, unavailable(errors)).await;
    assert_eq!(calls, 2);
    assert!((30_000 * MS..=30_000 * MS + JITTER).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn s3_seconds_with_decimals_are_waited_for() {
    for value in ["1.5", "1.50000"] {
        let (waited, calls) = wait_for(HttpRefusals, refused(&[("retry-after", value)])).await;
        assert_eq!(calls, 2);
        assert!((1500 * MS..=1500 * MS + JITTER).contains(&waited), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s3_a_date_without_a_date_of_the_response_is_waited_for_by_the_local_clock() {
    let then = httpdate::fmt_http_date(SystemTime::now() + 20_000 * MS);
    let (waited, calls) = wait_for(HttpRefusals, refused(&[("retry-after", &then)])).await;
    assert_eq!(calls, 2);
    assert!(waited > 10_000 * MS && waited <= 20_000 * MS + JITTER, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn d6_advice_longer_than_the_longest_wait_is_not_waited_for_at_all() {
    let forever = "9".repeat(1000);
    let date = "Fri, 31 Dec 9999 23:59:59 GMT";
    for value in ["31", "30.000000001", "18446744073709551616", &forever, date] {
        let outcome = wait_for(HttpRefusals, refused(&[("retry-after", value)])).await;
        assert_eq!(outcome, (Duration::ZERO, 1), "{value}");
    }
    let eternal = ErrorDetails::with_retry_info(Some(Duration::MAX));
    assert_eq!(wait_for(GrpcRefusals, unavailable(eternal)).await, (Duration::ZERO, 1));
    for pushback in ["-1", "31000", "4294967295", "4294967296", "NaN", ""] {
        let mut refused = unavailable(ErrorDetails::new());
        refused.headers_mut().insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
        assert_eq!(wait_for(GrpcRefusals, refused).await, (Duration::ZERO, 1), "{pushback:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn d6_advice_that_is_no_number_or_over_leaves_the_back_off() {
    for value in ["-1", "-1e308", "NaN", "inf", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "0", "0.0"] {
        let (waited, calls) = wait_for(HttpRefusals, refused(&[("retry-after", value)])).await;
        assert_eq!(calls, 2, "{value:?}");
        assert!(waited <= JITTER, "{value:?}: {waited:?}");
    }
}
