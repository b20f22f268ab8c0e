use std::time::Duration;

use backpressure_core::FlushReason;
use backpressure_tower::{Batch, BatchError, BatchLayer};
use tower::service_fn;

use crate::support::{Act, Rig, Target, outputs, rig};

#[test]
fn o1_everyone_gets_their_own_answer() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(3));
    let mut calls = rig.calls(1..=7);
    rig.work();
    let answers: Vec<_> = outputs(&mut calls).into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [10, 20, 30, 40, 50, 60, 70]);
    assert_eq!(target.batches(), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
}

#[test]
fn b6_while_the_service_is_busy_the_next_batch_gathers() {
    let target = Target::default().on(0, Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(10));
    let mut first = rig.call(1);
    rig.work();
    let mut others = rig.calls(2..=5);
    rig.work();
    assert_eq!(target.batches(), [[1]]);
    target.let_go(0, Act::Answer);
    rig.work();
    assert_eq!(first.output().unwrap(), 10);
    assert_eq!(outputs(&mut others).into_iter().map(Result::unwrap).sum::<u32>(), 140);
    assert_eq!(target.batches(), [vec![1], vec![2, 3, 4, 5]]);
}

#[test]
fn those_who_call_in_the_same_moment_share_a_batch_even_if_the_worker_runs_in_between() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let _ = rig.worker.as_mut().unwrap().poll();
    let _first = rig.call(1);
    assert!(rig.worker.as_mut().unwrap().is_woken());
    let _ = rig.worker.as_mut().unwrap().poll();
    let _second = rig.call(2);
    rig.work();
    assert_eq!(target.batches(), [[1, 2]]);
}

#[test]
fn a_caller_that_was_alone_the_last_time_does_not_wait_for_others() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let polls = |rig: &mut Rig, requests: std::ops::Range<u32>| {
        let _calls = rig.calls(requests);
        let before = target.batches().len();
        let worker = rig.worker.as_mut().unwrap();
        (1..).find(|_| worker.is_pending() && target.batches().len() > before).unwrap()
    };
    assert_eq!(polls(&mut rig, 0..1), 2);
    assert_eq!(polls(&mut rig, 1..2), 1);
    assert_eq!(polls(&mut rig, 2..4), 1);
    assert_eq!(polls(&mut rig, 4..5), 2, "there are others again");
}

#[test]
fn b1_weight_bounds_a_batch_and_an_oversize_request_travels_alone_and_at_once() {
    let target = Target::default();
    let mut rig =
        rig(&target, |builder| builder.max_weight(10, |&weight| weight as usize).linger(Duration::from_secs(60)));
    let _calls = rig.calls([6, 3, 5, 100, 1, u32::MAX]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { rig.work() });
    assert_eq!(target.batches(), [vec![6, 3], vec![5], vec![100], vec![1], vec![u32::MAX]]);
}

#[test]
fn d6_the_largest_numbers_are_only_numbers() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| {
        let builder = builder.capacity(usize::MAX).max_items(usize::MAX).max_weight(usize::MAX, |_| usize::MAX);
        builder.concurrency(usize::MAX).max_keys(usize::MAX)
    });
    let mut calls = rig.calls([1, 2]);
    rig.work();
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
    assert_eq!(target.batches(), [[1], [2]], "each is as heavy as a batch may be");
}

#[test]
fn b6_equal_keys_share_a_batch_and_lanes_take_turns() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(2).key(|request| request % 10));
    let mut calls = rig.calls([11, 21, 31, 41, 51, 12, 22, 13]);
    rig.work();
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
    let expected = [vec![11, 21], vec![12, 22], vec![31, 41], vec![13], vec![51]];
    let mut batches = target.batches();
    assert_eq!(batches.len(), expected.len());
    assert!(batches[..4].contains(&expected[1]), "a busy key does not go first all the time: {batches:?}");
    batches.sort();
    assert_eq!(batches, [vec![11, 21], vec![12, 22], vec![13], vec![31, 41], vec![51]]);
}

#[test]
fn s8_a_key_that_panics_fails_its_request_alone() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| {
        builder.key(|&request| {
            assert_ne!(request, 2, "no key");
            0
        })
    });
    let mut calls = rig.calls([1, 2, 3]);
    rig.work();
    let answers = outputs(&mut calls);
    assert!(matches!(answers[..], [Ok(10), Err(BatchError::Panicked), Ok(30)]), "{answers:?}");
    assert_eq!(target.batches(), [[1, 3]]);
}

#[test]
fn equal_requests_are_sent_once_and_answered_to_all() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.deduplicate());
    let mut calls = rig.calls([7, 8, 7, 7, 9, 8]);
    rig.work();
    assert_eq!(target.batches(), [[7, 8, 9]]);
    let answers: Vec<_> = outputs(&mut calls).into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [70, 80, 70, 70, 90, 80]);
}

#[test]
fn an_answer_that_is_a_result_is_the_callers_own() {
    let inner = service_fn(|batch: Vec<u32>| async move {
        let answer = |request: u32| if request % 2 == 0 { Ok(request / 2) } else { Err("odd") };
        Ok::<_, &str>(batch.into_iter().map(answer).collect::<Vec<_>>())
    });
    for dedup in [false, true] {
        let builder = BatchLayer::<u32, u32>::builder();
        let layer = if dedup { builder.deduplicate() } else { builder }.build().unwrap();
        let (batch, worker) = Batch::pair(inner, &layer);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (even, odd) = runtime.block_on(async {
            tokio::spawn(worker);
            let call = |n| tower::ServiceExt::oneshot(batch.clone(), n);
            tokio::join!(call(4), call(5))
        });
        assert_eq!(even.unwrap(), 2);
        assert!(matches!(odd, Err(BatchError::Request(error)) if *error == "odd"));
    }
}

#[test]
fn s4_batches_are_in_flight_together_up_to_the_concurrency() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2).concurrency(3));
    let mut calls = rig.calls(0..10);
    rig.work();
    assert_eq!((target.batches().len(), target.peak()), (3, 3));
    target.let_go(1, Act::Answer);
    rig.work();
    assert_eq!((target.batches().len(), target.peak()), (4, 3));
    assert_eq!(calls[2].output().unwrap(), 20, "s6: a slow batch does not hold up another");
    assert!(calls[0].is_pending());
}

#[test]
fn m1_the_books_balance_and_say_why_batches_left() {
    let target = Target::default().on(1, Act::Fail("no"));
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let gauge = rig.batch.as_ref().unwrap().gauge();
    let mut calls = rig.calls(1..=5);
    let counts = gauge.snapshot().counts;
    assert!(counts.balances() && counts.queued == 5, "{counts:?}");
    calls.pop();
    rig.work();
    let snapshot = gauge.snapshot();
    let counts = snapshot.counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.received, counts.delivered, counts.failed(), counts.dropped()), (5, 2, 2, 1));
    assert_eq!((counts.queued, counts.in_flight), (0, 0));
    assert_eq!((snapshot.flush.by_reason[FlushReason::Full as usize], snapshot.flush.items), (2, 4));
}

#[test]
fn the_size_follows_the_latency() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let target = Target::default().always(Act::Hold);
        let target_latency = Duration::from_millis(100);
        let mut rig = rig(&target, |builder| builder.max_items(66).adaptive_size(2, target_latency));
        let _calls = rig.calls(0..40);
        for batch in 0..4 {
            rig.work();
            tokio::time::advance(Duration::from_millis(if batch == 2 { 151 } else { 1 })).await;
            target.let_go(batch, Act::Answer);
        }
        rig.work();
        let sizes: Vec<_> = target.batches().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 3, 4, 2, 3]);
    });
}

#[test]
fn i4_what_is_public_can_be_sent_and_shared() {
    fn is_send_sync_unpin<T: Send + Sync + Unpin>() {}
    fn is_send_unpin<T: Send + Unpin>() {}
    is_send_sync_unpin::<backpressure_tower::BatchLayer<u32, u32>>();
    is_send_sync_unpin::<Batch<u32, u32, &str>>();
    is_send_sync_unpin::<backpressure_tower::BatchFuture<u32, u32, &str>>();
    is_send_sync_unpin::<backpressure_tower::BatchDrain<u32, u32, &str>>();
    is_send_sync_unpin::<backpressure_tower::BatchHandle<u32, u32, &str>>();
    is_send_sync_unpin::<backpressure_tower::BatcherConfig>();
    is_send_sync_unpin::<BatchError<&str>>();
    is_send_unpin::<backpressure_tower::BatchWorker<Target, u32, u32>>();
    let _ = |rig: Rig| rig.handle();
}
