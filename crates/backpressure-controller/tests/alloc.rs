//! What is allocated on the way in: nothing per item.

mod support;

use allocation_counter::measure;
use backpressure_controller::BackpressureController;
use backpressure_core::Strategy;
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use crate::support::{config, runtime, settle};

const CAPACITY: usize = 100;

/// A controller that has been in use, so that its buffer has grown to its size.
fn used(runtime: &Runtime, strategy: Strategy) -> BackpressureController<u64> {
    runtime.block_on(async {
        let config = config(CAPACITY, CAPACITY).strategy(strategy).build().unwrap();
        let controller = BackpressureController::builder(config)
            .flush_fn(async |_| Ok::<_, std::convert::Infallible>(()))
            .spawn()
            .unwrap();
        for _ in 0..3 {
            (0..CAPACITY as u64).for_each(|item| assert!(controller.try_push(item).is_ok()));
            settle().await;
        }
        controller
    })
}

#[test]
fn m3_pushing_items_that_do_not_complete_a_batch_allocates_nothing() {
    let runtime = runtime();
    let controller = used(&runtime, Strategy::block());
    let allocated = measure(|| {
        for item in 0..CAPACITY as u64 / 2 {
            assert!(controller.try_push(item).is_ok());
            assert!(controller.push(item).now_or_never().is_some_and(|sent| sent.is_ok()));
        }
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!(controller.snapshot().counts.queued, CAPACITY as u64);
}

#[test]
fn c6_a_million_refused_or_dropped_offers_allocate_nothing() {
    for strategy in [Strategy::block(), Strategy::Reject, Strategy::DropNewest, Strategy::DropOldest] {
        let runtime = runtime();
        let controller = used(&runtime, strategy);
        (0..CAPACITY as u64).for_each(|item| assert!(controller.try_push(item).is_ok()));
        let allocated = measure(|| {
            for item in 0..1_000_000 {
                let _ = controller.try_push(item);
            }
        });
        assert_eq!(allocated.count_total, 0, "{strategy}");
        assert_eq!(controller.snapshot().counts.queued, CAPACITY as u64);
    }
}

#[test]
fn a_controller_that_is_idle_holds_little() {
    let runtime = runtime();
    // The runtime has grown to what a task takes of it.
    drop(used(&runtime, Strategy::block()));
    runtime.block_on(settle());
    let mut kept = None;
    let held = measure(|| {
        kept = Some(runtime.block_on(async {
            let controller = BackpressureController::builder(config(CAPACITY, CAPACITY).build().unwrap())
                .flush_fn(async |_: Vec<u64>| Ok::<_, std::convert::Infallible>(()))
                .spawn()
                .unwrap();
            settle().await;
            controller
        }));
    });
    assert!(held.bytes_current <= 4096, "{held:?}");
}
