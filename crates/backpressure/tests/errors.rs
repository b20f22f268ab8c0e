//! Programs that hand errors on with `?`, into `anyhow` and into boxes, whatever the errors hold.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use backpressure::prelude::*;
use backpressure::{BackpressureSinkError, BatchError, ShedError, ThrottleError};
use futures_util::{SinkExt, StreamExt, stream};
use tower::{BoxError, ServiceExt, service_fn};

/// An error that is no `Clone`, and has a source.
#[derive(Debug)]
struct Disk(std::io::Error);

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("disk failed")
    }
}

impl Error for Disk {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn disk() -> Disk {
    Disk(std::io::Error::other("no space"))
}

/// As `{:#}` of `anyhow` prints it, by way of `?`.
fn chain(error: impl Error + Send + Sync + 'static) -> String {
    let whole = || -> anyhow::Result<()> { Err(error)? };
    format!("{:#}", whole().unwrap_err())
}

/// The same by way of a box.
fn boxed(error: impl Into<BoxError>) -> String {
    let whole = || -> Result<(), BoxError> { Err(error.into())? };
    let error = whole().unwrap_err();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn sink_error<E>(source: E) -> BackpressureSinkError<u8, E> {
    BackpressureSinkError::Inner { source, lost: 1, in_doubt: 0 }
}

#[test]
fn an_error_and_a_boxed_one_are_told_alike_with_all_their_causes() {
    let cases = [
        (
            chain(sink_error(disk())),
            boxed(sink_error(BoxError::from(disk())).into_boxed()),
            "sink failed (items lost: 1, in doubt: 0): disk failed: no space",
        ),
        (
            chain(FlushError::Batch(disk())),
            boxed(FlushError::Batch(BoxError::from(disk())).into_boxed()),
            "flush failed: disk failed: no space",
        ),
        (
            chain(ShedError::Inner(disk())),
            boxed(ShedError::Inner(BoxError::from(disk())).into_boxed()),
            "disk failed: no space",
        ),
        (
            chain(ThrottleError::Inner(disk())),
            boxed(ThrottleError::Inner(BoxError::from(disk())).into_boxed()),
            "call failed: disk failed: no space",
        ),
    ];
    for (plain, boxed, expected) in cases {
        assert_eq!((plain.as_str(), boxed.as_str()), (expected, expected));
    }
}

#[test]
fn what_was_boxed_is_still_found_among_the_sources() {
    let error = anyhow::Error::from(sink_error(BoxError::from(disk())).into_boxed());
    assert!(error.chain().any(|cause| cause.is::<Disk>()));
    let error = anyhow::Error::from(ThrottleError::Inner("busy").into_boxed());
    assert_eq!(format!("{error:#}"), "call failed: busy");
}

#[test]
fn an_item_that_may_not_leave_its_thread_is_left_out() {
    fn send(tx: &Sender<Cell<u8>>) -> Result<(), BoxError> {
        tx.try_send(Cell::new(1)).map_err(SendError::without_item)?;
        Ok(())
    }
    let (tx, rx) = channel(BackpressureConfig::default());
    send(&tx).unwrap();
    drop(rx);
    assert_eq!(send(&tx).unwrap_err().to_string(), "the buffer is closed: no more items are accepted");
}

/// A batcher over a service of tower, which fails with a box.
#[tokio::test]
async fn a_batch_error_around_a_box_is_an_error() -> anyhow::Result<()> {
    let rows = service_fn(|_: Vec<u8>| async { Err::<Vec<u8>, BoxError>(disk().into()) });
    let service = tower::Layer::layer(&BatchLayer::builder().build()?, rows);
    let call = async || -> anyhow::Result<u8> { Ok(service.clone().oneshot(1).await?) };
    let error = call().await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(BatchError::<BoxError>::Batch(_))));
    assert_eq!(error.to_string(), "batch failed: disk failed");
    Ok(())
}

/// `?` in one function over everything a pipeline can fail with.
#[tokio::test(start_paused = true)]
async fn one_function_takes_them_all() -> Result<(), Box<dyn Error + Send + Sync>> {
    let controller = BackpressureController::builder(BackpressureConfig::default())
        .flush_fn(async |_: Vec<u64>| Err::<(), _>(BoxError::from("no such table")))
        .on_failed(|items, error| {
            assert_eq!((items.len(), error.to_string()), (1, "flush failed: no such table".into()))
        })
        .spawn()?;
    controller.push(1).await?;
    controller.flush().await?;
    assert_eq!(controller.snapshot().counts.failed(), 1);

    let insert = service_fn(|rows: Vec<u64>| async move { Ok::<_, BoxError>(rows.len()) });
    let mut sink = ServiceSink::new(insert).sink_map_err(BackpressureSinkError::into_boxed);
    sink.send(vec![1]).await?;

    let lines = stream::iter(["1", "2"]).map(|line| line.parse::<u64>());
    let batches = lines.try_micro_batch(BatchConfig::builder().max_items(10).build()?);
    batches
        .forward_into(ServiceSink::new(service_fn(|rows: Vec<u64>| async move { Ok::<_, Disk>(rows.len()) })))
        .await?;

    let report = controller.drain(Duration::from_secs(1)).await;
    assert!(report.is_complete());
    Ok(())
}

/// A stream that fails with `anyhow::Error`, which is no `Error`.
#[tokio::test]
async fn a_stream_that_fails_with_anyhow_is_forwarded() {
    let lines = stream::iter(["1", "x"]).map(|line| Ok::<_, anyhow::Error>(line.parse::<u64>()?));
    let forward = async || -> anyhow::Result<()> {
        let batches = lines.try_micro_batch(BatchConfig::builder().max_items(10).build()?);
        let insert = service_fn(|rows: Vec<u64>| async move { Ok::<_, BoxError>(rows.len()) });
        let forwarded = batches.forward_into(ServiceSink::new(insert).sink_map_err(BackpressureSinkError::into_boxed));
        Ok(forwarded.await.map_err(|error| error.into_boxed())?)
    };
    assert_eq!(forward().await.unwrap_err().to_string(), "stream failed: invalid digit found in string");
}

/// Handlers of axum and tonic, which answer with the error.
mod answers {
    use backpressure::layers::ShedReason;
    use backpressure::{BatchError, Overloaded, RefusedExt, SendError, ShedError, State};
    use std::time::Duration;
    use tonic::Code;

    async fn handler(controller: backpressure::BackpressureController<u8>) -> axum::response::Result<&'static str> {
        controller.push(1).await.map_err(|error| error.to_http::<axum::body::Body>())?;
        Ok("accepted")
    }

    #[tokio::test]
    async fn a_handler_of_axum_refuses_once_the_controller_is_drained() {
        let controller = backpressure::BackpressureController::builder(backpressure::BackpressureConfig::default())
            .flush_fn(async |_: Vec<u8>| Ok::<_, std::io::Error>(()))
            .spawn()
            .unwrap();
        assert_eq!(handler(controller.clone()).await.unwrap(), "accepted");
        assert!(controller.drain(Duration::from_secs(1)).await.is_complete());
        let response = axum::response::IntoResponse::into_response(handler(controller).await);
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
    }

    #[test]
    fn each_kind_of_error_has_its_status_and_broken_ones_do_not_tell() {
        let shed = Overloaded::new(State::Blocked, ShedReason::Limit, Duration::from_secs(7)).with_in_flight(64);
        let draining = Overloaded::new(State::Draining, ShedReason::Draining, Duration::ZERO);
        let answer = |error: &dyn backpressure::core::Refused| {
            let (http, grpc) = (error.to_http::<String>(), error.to_grpc());
            (http.status().as_u16(), http.into_body(), grpc.code(), grpc.message().to_owned())
        };
        let failed = |what: &str| BatchError::Batch(std::sync::Arc::new(what.to_owned()));
        let cases: [(&dyn backpressure::core::Refused, u16, &str, Code); 6] = [
            (&SendError::Full(1), 503, "the buffer is full", Code::ResourceExhausted),
            (&SendError::Closed(1), 503, "shutting down", Code::Unavailable),
            (&shed, 503, "overloaded: concurrency limit reached (64 in flight)", Code::ResourceExhausted),
            (&ShedError::<std::io::Error>::from(draining), 503, "shutting down", Code::Unavailable),
            (&BatchError::<String>::DeadlineExceeded, 504, "deadline exceeded", Code::DeadlineExceeded),
            (&failed("password is secret"), 500, "internal error", Code::Internal),
        ];
        for (error, status, text, code) in cases {
            assert_eq!(answer(error), (status, format!("{text}\n"), code, text.to_owned()));
        }
        let (http, grpc) = (shed.to_http::<String>(), shed.to_grpc());
        assert!(["7", "8"].contains(&http.headers()["retry-after"].to_str().unwrap()));
        assert_eq!(grpc.metadata().get("grpc-retry-pushback-ms").unwrap(), "7000");
        assert!(!grpc.details().is_empty());
    }
}
