//! E1 to E3, items that expire before they are flushed.

use std::time::Duration;

use backpressure_controller::BackpressureController;
use backpressure_core::{DropReason, Strategy};

use crate::support::{Act, Log, MS, Target, advance, config, settle};

fn expiring(log: &Log<u32>) -> impl Fn(u32, DropReason) + Send + Sync + 'static {
    let log = log.clone();
    move |item, reason| {
        if reason == DropReason::Expired {
            log.push(item);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e1_b1_a_batch_that_was_kept_waiting_holds_nothing_that_expired_meanwhile() {
    let (target, lost) = (Target::new(|call, _| if call == 0 { Act::Hold } else { Act::Deliver }), Log::new());
    let config = config(1_000, 10).max_age(500 * MS).build().unwrap();
    let builder = BackpressureController::builder(config).on_drop(expiring(&lost));
    let controller = builder.flush(target.service()).spawn().unwrap();
    for item in 0..100 {
        controller.try_push(item).unwrap();
    }
    settle().await;
    assert_eq!(target.in_flight(), 1);
    advance(300 * MS).await;
    for item in 100..200 {
        controller.try_push(item).unwrap();
    }
    advance(200 * MS).await;
    target.answer(0, Act::Deliver);
    settle().await;
    let lost = lost.take();
    assert!((90..=105).contains(&lost.len()), "e2: at most 15 count as having come before the pause");
    assert_eq!(lost, Vec::from_iter(10..10 + lost.len() as u32));
    assert!(target.batches().iter().all(|batch| !batch.is_empty()));
    assert!(controller.drain(Duration::from_secs(1)).await.is_complete());
    assert_eq!(target.delivered(), (0..10).chain(10 + lost.len() as u32..200).collect::<Vec<_>>());
    let counts = controller.snapshot().counts;
    assert!(counts.balances());
    assert_eq!(
        (counts.delivered + counts.lost(DropReason::Expired), counts.lost(DropReason::Expired)),
        (200, lost.len() as u64)
    );
}

#[tokio::test(start_paused = true)]
async fn e1_b1_where_all_has_expired_nothing_is_flushed_and_a_barrier_is_passed() {
    for concurrency in [1, 2] {
        let (target, lost) = (Target::new(|call, _| if call == 0 { Act::Hold } else { Act::Deliver }), Log::new());
        let start = tokio::time::Instant::now().into_std();
        let config = config(1_000, 10).build().unwrap();
        let builder = BackpressureController::builder(config).on_drop(expiring(&lost));
        let builder = builder.expires_by(move |&item: &u32| (item > 0).then(|| start + item * MS));
        let builder = builder.flush(target.service()).concurrency(concurrency);
        let controller = if concurrency > 1 { builder.keyed_by(|_| 0) } else { builder }.spawn().unwrap();
        controller.try_push(0).unwrap();
        let (flushed, ()) = tokio::join!(controller.flush(), async {
            settle().await;
            controller.try_push(7).unwrap();
            controller.try_push(8).unwrap();
            advance(8 * MS).await;
            target.answer(0, Act::Deliver);
        });
        flushed.and(controller.flush().await).unwrap();
        assert_eq!(target.batches().len(), 1);
        let counts = controller.snapshot().counts;
        assert!(counts.balances());
        assert_eq!(counts.delivered + counts.lost(DropReason::Expired), 3, "{counts}");
        assert!(controller.drain(Duration::from_secs(1)).await.is_complete());
    }
}

#[tokio::test(start_paused = true)]
async fn e3_while_the_target_stands_still_a_producer_that_is_refused_makes_room_first() {
    let (target, lost) = (Target::always(Act::Hold), Log::new());
    let config = config(10, 10).strategy(Strategy::Reject).max_age(500 * MS).build().unwrap();
    let builder = BackpressureController::builder(config).on_drop(expiring(&lost));
    let controller = builder.flush(target.service()).spawn().unwrap();
    for item in 0..10 {
        controller.try_push(item).unwrap();
    }
    settle().await;
    for item in 10..20 {
        controller.try_push(item).unwrap();
    }
    assert!(controller.try_push(20).is_err());
    advance(500 * MS).await;
    assert!(controller.try_push(21).unwrap().is_accepted());
    assert_eq!(lost.take(), Vec::from_iter(10..20));
    assert_eq!(controller.drain(MS).await.abandoned.len(), 1);
}
