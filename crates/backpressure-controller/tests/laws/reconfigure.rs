//! Bounds, batches and concurrency of a controller that is in use.

use backpressure_controller::BackpressureController;
use backpressure_core::{State, Strategy};

use crate::support::{Act, INTERVAL, MS, Target, advance, config, settle};

#[tokio::test(start_paused = true)]
async fn r3_a_producer_that_waits_is_let_in_and_the_batch_is_as_large_as_is_said() {
    let target = Target::<u32>::always(Act::Deliver);
    let controller =
        BackpressureController::builder(config(2, 2).build().unwrap()).flush(target.service()).spawn().unwrap();
    let handle = controller.handle();
    handle.reconfigure(config(6, 5).build().unwrap()).unwrap();
    for item in 0..4 {
        controller.try_push(item).unwrap();
    }
    settle().await;
    let snapshot = controller.snapshot();
    assert_eq!((snapshot.capacity, snapshot.flush.batch_items, snapshot.counts.queued), (6, 5, 4));
    assert!(target.calls().is_empty(), "four make no batch any more");
    controller.try_push(4).unwrap();
    settle().await;
    assert_eq!(target.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn r1_a_batch_that_waits_leaves_after_the_new_interval() {
    let target = Target::<u32>::always(Act::Deliver);
    let controller =
        BackpressureController::builder(config(10, 5).build().unwrap()).flush(target.service()).spawn().unwrap();
    controller.try_push(0).unwrap();
    advance(INTERVAL / 2).await;
    let sooner = config(10, 5).flush_interval(INTERVAL / 2 + MS, INTERVAL).target_latency(MS);
    controller.handle().reconfigure(sooner.build().unwrap()).unwrap();
    settle().await;
    assert_eq!((target.calls().len(), controller.snapshot().flush.interval), (0, INTERVAL), "within the new bounds");
    let at_once = config(10, 5).flush_interval(MS, INTERVAL / 2).target_latency(MS);
    controller.handle().reconfigure(at_once.build().unwrap()).unwrap();
    settle().await;
    assert_eq!(target.calls().len(), 1, "it has waited for as long");
}

#[tokio::test(start_paused = true)]
async fn r2_r4_less_concurrency_lets_the_batches_in_flight_come_back_first() {
    let target = Target::<u32>::first((0..4).map(|_| Act::After(10 * MS, Box::new(Act::Deliver))));
    let controller = BackpressureController::builder(config(10, 1).build().unwrap())
        .flush(target.service())
        .concurrency(2)
        .spawn()
        .unwrap();
    for item in 0..4 {
        controller.try_push(item).unwrap();
    }
    settle().await;
    controller.handle().set_concurrency(1).unwrap();
    settle().await;
    assert_eq!(target.calls().len(), 2);
    advance(10 * MS).await;
    assert_eq!(target.calls().len(), 3, "one in the place of two");
    controller.handle().set_concurrency(2).unwrap();
    settle().await;
    assert_eq!(target.calls().len(), 4);
    let error = controller.handle().set_concurrency(0).unwrap_err();
    assert_eq!(error.to_string(), "concurrency is 0, but must be at least 1");
}

#[tokio::test(start_paused = true)]
async fn r2_a_smaller_buffer_flushes_what_it_holds() {
    let target = Target::<u32>::always(Act::Deliver);
    let controller =
        BackpressureController::builder(config(10, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    for item in 0..6 {
        controller.try_push(item).unwrap();
    }
    controller.handle().reconfigure(config(3, 3).strategy(Strategy::Reject).build().unwrap()).unwrap();
    assert_eq!((controller.gauge().state(), controller.gauge().utilization()), (State::Blocked, 2.0));
    assert!(controller.try_push(9).is_err());
    settle().await;
    assert_eq!(target.calls().len(), 2, "two full batches of three");
    assert_eq!(controller.snapshot().counts.delivered, 6);
}

#[tokio::test(start_paused = true)]
async fn r1_batches_below_the_smallest_are_refused() {
    let target = Target::<u32>::always(Act::Deliver);
    let controller = BackpressureController::builder(config(10, 10).build().unwrap())
        .flush(target.service())
        .adapt_batch_items(4)
        .spawn()
        .unwrap();
    let handle = controller.handle();
    let error = handle.reconfigure(config(3, 3).build().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "batch_size_min is 4, but must be at most batch_items (3)");
    assert_eq!((handle.config().capacity(), controller.snapshot().capacity), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn t9_a_handle_keeps_no_controller_at_work() {
    let target = Target::<u32>::always(Act::Deliver);
    let controller =
        BackpressureController::builder(config(10, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    controller.try_push(1).unwrap();
    let handle = controller.handle();
    drop(controller);
    settle().await;
    assert_eq!((target.calls().len(), handle.gauge().state()), (1, State::Draining));
    handle.reconfigure(config(20, 10).build().unwrap()).unwrap();
    handle.set_concurrency(3).unwrap();
}
