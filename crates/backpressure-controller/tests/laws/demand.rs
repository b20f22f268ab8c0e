//! The flush target sets the pace: its readiness, its concurrency.

use std::pin::pin;

use backpressure_controller::BackpressureController;
use backpressure_core::{State, Strategy};
use futures_util::FutureExt;

use crate::support::{Act, INTERVAL, Log, MS, Target, advance, config, settle};

#[tokio::test(start_paused = true)]
async fn d1_s1_the_target_is_asked_before_each_call_and_called_once_per_readiness() {
    let target = Target::new(|call, _| match call % 4 {
        0 => Act::Deliver,
        1 => Act::Fail("again"),
        2 => Act::PanicInCall,
        _ => Act::After(MS, Box::new(Act::Deliver)),
    });
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush(target.service())
        .concurrency(3)
        .retry([MS; 5])
        .spawn()
        .unwrap();
    for item in 0..250 {
        controller.push(item).await.unwrap();
    }
    controller.flush().await.unwrap();
    let calls = target.calls().len();
    assert!(calls > 25, "some were retried");
    // Every accessor of the target checks that no call came without readiness.
    assert_eq!(target.readiness(), (calls, calls));
}

#[tokio::test(start_paused = true)]
async fn d1_a_target_that_is_not_ready_is_asked_again_when_it_wakes_and_not_before() {
    let target = Target::always(Act::Deliver);
    target.ready_for(0);
    let controller =
        BackpressureController::builder(config(100, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    (0..10).for_each(|item| assert!(controller.try_push(item).is_ok()));
    advance(100 * INTERVAL).await;
    assert_eq!(target.readiness(), (1, 0));
    target.ready_for(0);
    settle().await;
    assert_eq!(target.readiness(), (2, 0), "a spurious wake is a question, not a call");
    target.ready();
    settle().await;
    assert_eq!(target.readiness(), (3, 1));
    assert_eq!(target.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_target_is_not_asked_while_there_is_nothing_to_flush() {
    let target = Target::always(Act::Deliver);
    let controller =
        BackpressureController::builder(config(100, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    advance(100 * INTERVAL).await;
    controller.flush().await.unwrap();
    (0..9).for_each(|item| assert!(controller.try_push(item).is_ok()));
    advance(INTERVAL - MS).await;
    assert_eq!(target.readiness(), (0, 0), "a partial batch that may wait takes no readiness");
    advance(MS).await;
    assert_eq!(target.readiness(), (1, 1));
    advance(100 * INTERVAL).await;
    assert_eq!(target.readiness(), (1, 1), "nor does an empty buffer");
}

#[tokio::test(start_paused = true)]
async fn while_the_target_is_not_ready_the_pressure_rises_to_the_producers_and_falls_when_it_is() {
    let target = Target::always(Act::Deliver);
    target.ready_for(0);
    let config = config(10, 2).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
    let states = Log::new();
    tokio::spawn({
        let (gauge, states) = (controller.gauge(), states.clone());
        async move {
            let mut state = gauge.state();
            loop {
                states.push(state);
                state = gauge.changed_from(state).await;
            }
        }
    });
    for item in 0..10 {
        controller.push(item).await.unwrap();
        settle().await;
    }
    assert_eq!(states.take(), [State::Normal, State::Elevated, State::Critical, State::Blocked]);

    let mut late = pin!(controller.push(10));
    assert!(late.as_mut().now_or_never().is_none(), "there is no room");
    settle().await;
    assert!(late.as_mut().now_or_never().is_none(), "and none comes");
    assert_eq!(controller.snapshot().producers_waiting, 1);

    target.ready_for(1);
    assert!(late.await.unwrap().is_accepted(), "a batch of two left");
    assert_eq!((controller.snapshot().counts.queued, controller.gauge().state()), (9, State::Critical));
    settle().await;
    for _ in 0..4 {
        target.ready_for(1);
        settle().await;
    }
    assert_eq!(states.take(), [State::Critical, State::Elevated, State::Normal]);
    assert_eq!(target.batches().concat(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn d3_what_is_queued_and_what_is_out_never_exceed_their_bounds_retries_included() {
    let observed = Log::new();
    // Every batch fails twice, and waits for its retry meanwhile.
    let mut tries = std::collections::HashMap::new();
    let target = Target::new(move |_, batch: &[u32]| {
        let tries: &mut u32 = tries.entry(batch[0]).or_default();
        *tries += 1;
        Act::After(MS, Box::new(if *tries > 2 { Act::Deliver } else { Act::Fail("again") }))
    });
    let config = config(20, 4).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config)
        .flush(target.service())
        .concurrency(3)
        .retry([10 * MS, 100 * MS])
        .spawn()
        .unwrap();
    let observer = tokio::spawn({
        let (gauge, observed) = (controller.gauge(), observed.clone());
        async move {
            loop {
                let snapshot = gauge.snapshot();
                observed.push((snapshot.counts.queued, snapshot.counts.in_flight, snapshot.counts.balances()));
                tokio::time::sleep(MS).await; // tidy: paused clock
            }
        }
    });
    for item in 0..200 {
        controller.push(item).await.unwrap();
    }
    controller.flush().await.unwrap();
    observer.abort();
    let observed = observed.take();
    assert_eq!(observed.iter().map(|&(queued, ..)| queued).max(), Some(20));
    assert_eq!(observed.iter().map(|&(_, in_flight, _)| in_flight).max(), Some(12));
    assert!(observed.iter().all(|&(.., balances)| balances));
    assert_eq!(target.peak(), 3);
    assert_eq!(target.delivered().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_for_its_retry_keeps_its_place() {
    let target = Target::first([Act::Fail("once")]);
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush(target.service())
        .concurrency(2)
        .retry([INTERVAL])
        .spawn()
        .unwrap();
    (0..10).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    (10..60).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    assert_eq!(target.delivered().len(), 50, "one by one through the other place");
    assert_eq!((target.peak(), controller.snapshot().counts.in_flight), (1, 10));
}

#[tokio::test(start_paused = true)]
async fn o1_a_single_place_keeps_the_order_through_retries_and_bisection() {
    let target = Target::new(|call, _| match call % 5 {
        1 | 4 => Act::Fail("again"),
        2 => Act::After(30 * MS, Box::new(Act::Deliver)),
        3 => Act::PanicInFuture,
        _ => Act::Deliver,
    });
    let config = config(100, 10).strategy(Strategy::block_forever()).build().unwrap();
    let controller =
        BackpressureController::builder(config).flush(target.service()).retry([MS]).bisect().spawn().unwrap();
    for item in 0..500 {
        controller.push(item).await.unwrap();
    }
    controller.flush().await.unwrap();
    let delivered = target.delivered();
    assert!(delivered.is_sorted() && !delivered.is_empty());
    assert_eq!(delivered.len() as u64, controller.snapshot().counts.delivered);
    assert_eq!(target.peak(), 1);
}

#[tokio::test(start_paused = true)]
async fn s6_one_flush_that_never_answers_holds_up_only_its_own_place() {
    let target = Target::first([Act::Never]);
    let controller = BackpressureController::builder(config(1_000, 10).build().unwrap())
        .flush(target.service())
        .concurrency(2)
        .spawn()
        .unwrap();
    (0..200).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    settle().await;
    assert_eq!(target.delivered(), Vec::from_iter(10..200));
    assert_eq!(controller.snapshot().counts.in_flight, 10);
}

#[tokio::test(start_paused = true)]
async fn d6_any_number_of_flushes_at_once_and_any_retry_delay() {
    use std::time::Duration;
    let target = Target::new(|call, _| if call == 0 { Act::Fail("once") } else { Act::Deliver });
    let controller = BackpressureController::builder(config(usize::MAX, 1).build().unwrap())
        .flush(target.service())
        .concurrency(usize::MAX)
        .retry(std::iter::repeat(Duration::MAX))
        .spawn()
        .unwrap();
    (0..1_000).for_each(|item| assert!(controller.try_push(item).is_ok()));
    for _ in 0..20 {
        settle().await;
    }
    assert_eq!(target.delivered().len(), 999);
    let report = controller.drain(Duration::from_secs(1)).await;
    assert_eq!((report.abandoned, report.delivered, report.failed), (vec![0], 0, 0));
}
