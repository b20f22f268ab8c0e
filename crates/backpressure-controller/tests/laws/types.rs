//! What the public types are, as far as the compiler knows.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use backpressure_controller::{
    BackpressureController, ControllerBuilder, DrainReport, FailedItem, FlushBuilder, FlushError, FlushFn,
    FlushOutcome, Verdict,
};
use futures_util::Sink;

use crate::support::{Flush, Log, config, settle};

/// May be sent to another thread, but not shared with it.
type Movable = Cell<u32>;

fn send<T: Send + 'static>() {}
fn sync<T: Sync>() {}
fn unpin<T: Unpin>() {}

#[test]
fn i4_handles_and_what_they_give_may_go_anywhere() {
    fn handle<T: Clone + Send + Sync + Unpin + Sink<Movable> + 'static>() {}
    handle::<BackpressureController<Movable>>();
    send::<DrainReport<Movable>>();
    sync::<DrainReport<u32>>();
    unpin::<DrainReport<Movable>>();
    send::<FlushOutcome<Movable, Movable>>();
    sync::<FlushOutcome<u32, u32>>();
    unpin::<FlushOutcome<Movable, Movable>>();
    send::<FailedItem<Movable, Movable>>();
    sync::<FailedItem<u32, u32>>();
    unpin::<FailedItem<Movable, Movable>>();
    send::<Verdict>();
    sync::<Verdict>();
    unpin::<Verdict>();
    send::<FlushError<Movable>>();
    sync::<FlushError<u32>>();
    unpin::<FlushError<Movable>>();
}

#[test]
fn i4_builders_may_be_sent_on_and_spawned_elsewhere() {
    send::<ControllerBuilder<Movable>>();
    unpin::<ControllerBuilder<Movable>>();
    send::<FlushBuilder<u32, Flush<u32>>>();
    unpin::<FlushBuilder<u32, Flush<u32>>>();
    send::<FlushFn<fn()>>();
    sync::<FlushFn<fn()>>();
    unpin::<FlushFn<fn()>>();
}

#[test]
fn i4_what_a_handle_does_may_be_awaited_in_a_spawned_task() {
    fn future<F: Future + Send>(_: impl FnOnce(&'static BackpressureController<Movable>) -> F) {}
    future(|handle| handle.push(Cell::new(1)));
    future(|handle| handle.flush());
    future(|handle| handle.drain(Duration::MAX));
}

/// Neither cloned, compared, shown nor shared.
struct Opaque(Movable);

#[tokio::test(start_paused = true)]
async fn items_that_cannot_be_copied_are_flushed_failed_and_handed_back_all_the_same() {
    let (delivered, failed) = (Log::new(), Log::new());
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush_fn({
            let delivered = delivered.clone();
            move |batch: Vec<Opaque>| {
                let (bad, good): (Vec<_>, Vec<_>) = batch.into_iter().partition(|item| item.0.get() == 3);
                good.into_iter().for_each(|item| delivered.push(item.0.get()));
                let failed = bad.into_iter().map(|item| (item, "three")).collect();
                async { Ok::<_, &str>(FlushOutcome::partial(failed)) }
            }
        })
        .on_failed({
            let failed = failed.clone();
            move |items, _| items.into_iter().for_each(|item| failed.push(item.0.get()))
        })
        .spawn()
        .unwrap();
    for item in 0..15 {
        assert!(controller.push(Opaque(Cell::new(item))).await.is_ok());
    }
    settle().await;
    let report = controller.drain(Duration::ZERO).await;
    assert_eq!((delivered.take(), failed.take()), (vec![0, 1, 2, 4, 5, 6, 7, 8, 9], vec![3]));
    assert_eq!(report.abandoned.iter().map(|item| item.0.get()).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
    assert!(controller.push(Opaque(Cell::new(7))).await.is_err_and(|error| error.into_inner().0.get() == 7));
}

#[tokio::test(start_paused = true)]
async fn every_public_type_shows_itself_without_its_items() {
    let builder = BackpressureController::<Opaque>::builder(config(100, 10).build().unwrap());
    assert!(format!("{builder:?}").contains("capacity: 100"));
    let builder = builder.flush_fn(async |_| Ok::<_, Infallible>(())).concurrency(7);
    assert!(format!("{builder:?}").contains("concurrency: 7"));
    assert_eq!(format!("{:?}", builder.spawn().unwrap()), "BackpressureController { state: Normal, .. }");
}
