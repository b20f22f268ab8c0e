//! Batches, and the time they take.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BatchConfig, BatchConfigBuilder};
use backpressure_sink::{BackpressureSinkError, BackpressureSinkExt, BatchingSink};
use futures_util::{SinkExt, StreamExt, stream};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use crate::kit::{Broken, Poke, Probe, STAGES, Stage, Task, config, poll};

const MS: Duration = Duration::from_millis(1);
const LINGER: Duration = Duration::from_millis(20);

type Sink = BatchingSink<Probe<Vec<u32>>, u32>;

fn batching(probe: &Probe<Vec<u32>>, build: impl FnOnce(BatchConfigBuilder) -> BatchConfigBuilder) -> Sink {
    let limits = build(BatchConfig::builder().max_items(3).linger(LINGER)).build().unwrap();
    BatchingSink::new(probe.clone(), limits)
}

fn offer_all(sink: &mut Sink, items: impl IntoIterator<Item = u32>, task: &std::sync::Arc<Task>) {
    for item in items {
        assert_eq!(sink.offer(item, task), Poll::Ready(Ok(())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once_and_an_eager_flush_sends_the_rest() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c).eager_flush();
    offer_all(&mut sink, 0..7, &task);
    assert_eq!(probe.got(), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(probe.got().last(), Some(&vec![6]));
    assert_eq!(probe.attempts(Stage::Flush), 1);
}

#[tokio::test(start_paused = true)]
async fn b2_a_flush_waits_for_the_linger_and_no_longer() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..1, &task);
    advance(5 * MS).await;
    offer_all(&mut sink, 1..2, &task);
    assert!(sink.flush_once(&task).is_pending());
    advance(14 * MS).await;
    assert_eq!(task.wakes(), 0);
    assert!(sink.flush_once(&task).is_pending());
    advance(MS).await;
    assert_eq!(task.wakes(), 1, "the first item has waited for its linger");
    assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(probe.got(), [[0, 1]]);
}

/// The law's own case: a 5 ms linger, and a source that is always ready.
#[tokio::test(start_paused = true)]
async fn b2_the_linger_holds_although_the_source_never_pauses() {
    for pace in [Duration::from_micros(10), Duration::from_micros(100), Duration::from_micros(900)] {
        let (probe, task) = (Probe::ready(), Task::new());
        let mut sink = batching(&probe, |c| c.max_items(1_000_000).linger(5 * MS));
        let (mut start, mut batches) = (None, 0);
        for item in 0..10_000 {
            assert!(sink.ready(&task).is_ready());
            if probe.got().len() > batches {
                batches += 1;
                let waited = start.replace(Instant::now()).map_or(Duration::ZERO, |start| start.elapsed());
                assert!(waited <= 6 * MS, "{waited:?} at {pace:?} an item");
            }
            start.get_or_insert_with(Instant::now);
            sink.start(item).unwrap();
            advance(pace).await;
            if batches == 5 {
                break;
            }
        }
        assert_eq!(batches, 5, "{pace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b2_under_forward_a_trickle_is_batched_by_the_linger() {
    let probe = Probe::ready();
    let sink = batching(&probe, |c| c.max_items(100));
    let ticks = stream::unfold(0, |n| async move {
        tokio::time::sleep(3 * MS).await; // tidy: paused clock
        (n < 20).then_some((n, n + 1))
    });
    let start = Instant::now();
    ticks.map(Ok).forward(sink).await.unwrap();
    assert_eq!(probe.got().iter().map(Vec::len).collect::<Vec<_>>(), [7, 7, 6]);
    assert_eq!(probe.got().concat(), (0..20).collect::<Vec<_>>());
    assert_eq!(start.elapsed(), 63 * MS);
}

#[tokio::test(start_paused = true)]
async fn b2_a_driven_tail_leaves_within_its_linger_and_nothing_ticks_afterwards() {
    let probe = Probe::ready();
    let (mut sink, driver) = batching(&probe, |c| c).bounded(config(|c| c.capacity(10))).drive();
    let driver = tokio::spawn(driver);
    sink.feed(1).await.unwrap();
    sink.feed(2).await.unwrap();
    tokio::time::sleep(LINGER - MS).await; // tidy: paused clock
    assert_eq!(probe.got().len(), 0);
    tokio::time::sleep(MS).await; // tidy: paused clock
    tokio::task::yield_now().await;
    assert_eq!(probe.got(), [[1, 2]]);
    let polls = probe.polls();
    tokio::time::sleep(100 * LINGER).await; // tidy: paused clock
    assert_eq!(probe.polls(), polls);
    drop(sink);
    driver.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn quiet_ends_a_batch_before_its_linger() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c.max_items(100).quiet(4 * MS));
    for item in 0..3 {
        offer_all(&mut sink, item..=item, &task);
        assert!(sink.flush_once(&task).is_pending());
        advance(3 * MS).await;
    }
    assert!(sink.flush_once(&task).is_pending());
    task.wakes();
    advance(MS).await;
    assert_eq!(task.wakes(), 1);
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(probe.got(), [[0, 1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn b3_a_batch_that_is_due_while_the_inner_sink_is_busy_goes_on_filling_and_goes_first() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..1, &task);
    advance(10 * LINGER).await;
    offer_all(&mut sink, 1..3, &task);
    assert!(sink.ready(&task).is_pending(), "now it is full");
    assert_eq!(sink.start(9), Err(BackpressureSinkError::Full(9)));
    probe.make_room(9);
    assert_eq!(task.wakes(), 1);
    offer_all(&mut sink, 3..4, &task);
    assert!(sink.close_once(&task).is_ready());
    assert_eq!(probe.got(), [vec![0, 1, 2], vec![3]]);
    probe.assert_lawful();
}

#[tokio::test(start_paused = true)]
async fn b4_an_inner_sink_that_is_ready_does_not_close_a_batch() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..1, &task);
    for _ in 0..100 {
        assert!(sink.ready(&task).is_ready());
        assert!(sink.flush_once(&task).is_pending());
    }
    assert_eq!(probe.got().len(), 0);
    assert_eq!(probe.attempts(Stage::Ready), 0, "nor is its readiness hoarded");
}

#[tokio::test(start_paused = true)]
async fn b5_a_timer_goes_with_its_batch() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..1, &task);
    assert!(sink.flush_once(&task).is_pending(), "the timer is set");
    advance(LINGER / 2).await;
    offer_all(&mut sink, 1..3, &task);
    task.wakes();
    advance(10 * LINGER).await;
    assert_eq!(task.wakes(), 0, "an idle task is not woken after a size flush");

    offer_all(&mut sink, 3..4, &task);
    assert!(sink.flush_once(&task).is_pending());
    advance(LINGER - MS).await;
    assert!(sink.flush_once(&task).is_pending(), "the next batch has its own linger");
    advance(MS).await;
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(probe.got(), [vec![0, 1, 2], vec![3]]);

    offer_all(&mut sink, 4..5, &task);
    assert!(sink.flush_once(&task).is_pending());
    assert!(sink.close_once(&task).is_ready());
    task.wakes();
    advance(10 * LINGER).await;
    assert_eq!(task.wakes(), 0);
}

#[tokio::test(start_paused = true)]
async fn i3_a_flush_with_nothing_to_flush_is_ready_and_arms_no_timer() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(probe.attempts(Stage::Flush), 1);
    advance(100 * LINGER).await;
    assert_eq!(task.wakes(), 0);
}

#[test]
fn i3_outside_a_runtime_everything_but_waiting_works() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..4, &task);
    assert!(sink.close_once(&task).is_ready());
    assert_eq!(probe.got(), [vec![0, 1, 2], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn d6_extremes_neither_panic_nor_hang_nor_allocate_in_proportion() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut endless = batching(&probe, |c| c.max_items(usize::MAX).max_weight(usize::MAX).linger(Duration::MAX))
        .weigh_by(|_| usize::MAX / 2);
    offer_all(&mut endless, 0..2, &task);
    assert_eq!(endless.flush_once(&task), Poll::Ready(Ok(())), "without a deadline there is nothing to wait for");
    assert_eq!(probe.got(), [[0, 1]]);

    let mut instant = batching(&probe, |c| c.max_items(100).linger(Duration::ZERO));
    offer_all(&mut instant, 2..5, &task);
    assert_eq!(instant.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(probe.got().last(), Some(&vec![2, 3, 4]), "what came in one go");

    let mut hushed = batching(&probe, |c| c.max_items(100).quiet(Duration::ZERO));
    offer_all(&mut hushed, 5..7, &task);
    assert_eq!(hushed.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(probe.got().last(), Some(&vec![5, 6]));
    assert_eq!(task.wakes(), 0);
}

#[tokio::test(start_paused = true)]
async fn t1_t2_t5_close_sends_the_rest_at_once_and_closes_the_inner_sink_once() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..4, &task);
    assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(sink.ready(&task), Poll::Ready(Err(BackpressureSinkError::Closed(None))));
    assert_eq!(sink.start(9), Err(BackpressureSinkError::Closed(Some(9))));
    assert_eq!((probe.got(), probe.attempts(Stage::Close)), (vec![vec![0, 1, 2], vec![3]], 1));
    probe.assert_lawful();
}

#[tokio::test(start_paused = true)]
async fn t3_an_error_surfaces_once_and_tells_how_many_items_it_cost() {
    for stage in STAGES {
        for k in 0..if stage == Stage::Ready || stage == Stage::Send { 3 } else { 1 } {
            let (probe, task) = (Probe::ready(), Task::new());
            probe.script().fails = Some((stage, k));
            let mut sink = batching(&probe, |c| c).eager_flush();
            let mut errors = Vec::new();
            for item in 0..8 {
                while let Poll::Ready(Err(error)) = sink.ready(&task) {
                    errors.push(error);
                }
                sink.start(item).unwrap();
            }
            while let Poll::Ready(Err(error)) = sink.flush_once(&task) {
                errors.push(error);
            }
            while let Poll::Ready(Err(error)) = sink.close_once(&task) {
                errors.push(error);
            }
            let batches = [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]];
            let (lost, in_doubt) = match stage {
                Stage::Ready => (0, 3 * k),
                Stage::Send => (batches[k].len(), 3 * k),
                Stage::Flush => (0, 8),
                Stage::Close => (0, 0),
            };
            let expected = BackpressureSinkError::Inner { source: Broken(stage), lost, in_doubt };
            assert_eq!(errors, [expected], "{stage:?} {k}");
            let survivors: Vec<_> = (0..3)
                .filter(|batch| !(stage == Stage::Send && *batch == k))
                .map(|batch| batches[batch].clone())
                .collect();
            assert_eq!(probe.got(), survivors, "{stage:?} {k}");
            probe.assert_lawful();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t3_what_is_held_can_be_taken_back() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = batching(&probe, |c| c.max_weight(5)).weigh_by(|item| *item as usize);
    offer_all(&mut sink, [2, 2], &task);
    sink.start(4).unwrap();
    assert!(sink.ready(&task).is_pending());
    assert_eq!(sink.into_parts().1, [2, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn x2_a_flush_given_up_while_it_waits_can_be_asked_for_again() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..2, &task);
    for _ in 0..3 {
        assert!(poll(&mut sink.flush(), &task).is_pending());
        advance(LINGER / 4).await;
    }
    sink.flush().await.unwrap();
    assert_eq!(probe.got(), [[0, 1]]);
}

/// A flush that finds the task's budget spent still looks at the clock.
#[tokio::test(start_paused = true)]
async fn b2_a_spent_cooperative_budget_does_not_delay_a_batch_that_is_due() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = batching(&probe, |c| c);
    offer_all(&mut sink, 0..1, &task);
    assert!(sink.flush_once(&task).is_pending());
    advance(LINGER).await;
    std::future::poll_fn(|cx| {
        while tokio::task::coop::has_budget_remaining() {
            let _ = pin!(tokio::task::coop::consume_budget()).poll(cx);
        }
        Poll::Ready(())
    })
    .await;
    assert!(!tokio::task::coop::has_budget_remaining(), "there has been no await since");
    assert!(sink.flush_once(&task).is_ready());
    assert_eq!(probe.got(), [[0]]);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Offer(u32),
    Flush,
    Room(usize),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u32..6).prop_map(Step::Offer),
        2 => Just(Step::Flush),
        3 => (1usize..3).prop_map(Step::Room),
        2 => (1u64..30).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn b1_b6_d1_batches_are_within_their_bounds_and_together_the_input(
        steps in steps(),
        max_items in 1usize..6,
        max_weight in prop::option::of(1usize..8),
        quiet in prop::option::of(0u64..10),
        is_eager: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (probe, task) = (Probe::with_room(0), Task::new());
            let weight = |item: &u32| *item as usize;
            let limits = |c: BatchConfigBuilder| {
                let c = c.max_items(max_items);
                let c = if let Some(weight) = max_weight { c.max_weight(weight) } else { c };
                if let Some(quiet) = quiet { c.quiet(quiet as u32 * MS) } else { c }
            };
            let sink = batching(&probe, limits).weigh_by(weight);
            let mut sink = if is_eager { sink.eager_flush() } else { sink };
            let mut sent = Vec::new();
            for step in steps {
                match step {
                    Step::Offer(item) => if sink.offer(item, &task).is_ready() {
                        sent.push(item);
                    },
                    Step::Flush => if sink.flush_once(&task).is_ready() {
                        prop_assert_eq!(probe.got().concat(), sent.clone());
                    },
                    Step::Room(room) => probe.make_room(room),
                    Step::Advance(ms) => advance(ms as u32 * MS).await,
                }
            }
            probe.make_room(usize::MAX);
            prop_assert!(sink.close_once(&task).is_ready());
            prop_assert_eq!(probe.got().concat(), sent);
            for batch in probe.got() {
                prop_assert!(!batch.is_empty() && batch.len() <= max_items);
                let total: usize = batch.iter().map(weight).sum();
                prop_assert!(batch.len() == 1 || max_weight.is_none_or(|max| total <= max));
            }
            prop_assert_eq!(&probe.script().offences, &[""; 0]);
            Ok(())
        })?;
    }
}
