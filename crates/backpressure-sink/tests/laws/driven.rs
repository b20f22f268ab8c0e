//! A handle and its driver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use backpressure_core::{DropReason, State, Strategy};
use backpressure_sink::{BackpressureSinkError, BackpressureSinkExt, Driven, Driver};
use futures_sink::Sink;
use proptest::prelude::{Strategy as _, *};

use crate::kit::{Broken, Poke, Probe, STAGES, Stage, Task, assert_balanced, config, poll};

type Pair<T> = (Driven<T, Broken>, Driver<Probe<T>, T>);

fn driven<T>(probe: &Probe<T>, capacity: usize, strategy: Strategy) -> Pair<T> {
    probe.clone().bounded(config(|c| c.capacity(capacity).strategy(strategy))).drive()
}

/// Polls as long as it is woken. Ready with the output, pending when at rest.
fn run<F: Future + Unpin>(future: &mut F, task: &Arc<Task>) -> Poll<F::Output> {
    loop {
        task.wakes();
        let polled = poll(future, task);
        if polled.is_ready() || task.wakes() == 0 {
            return polled;
        }
    }
}

#[test]
fn an_idle_tail_is_delivered_and_flushed_without_further_sends() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 8, Strategy::block());
    assert!(run(&mut driver, &task).is_pending());
    for item in 0..3 {
        assert!(sink.offer(item, &user).is_ready());
    }
    assert_eq!(task.wakes(), 1, "one wake for the three");
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.got(), [0, 1, 2]);
    assert_eq!(probe.attempts(Stage::Flush), 1);
    assert_eq!(user.wakes(), 0);
    assert_balanced(&sink.gauge());
    assert_eq!(sink.gauge().snapshot().counts.delivered, 3);
}

#[test]
fn d1_d2_the_driver_asks_for_readiness_only_with_an_item_at_hand() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 8, Strategy::block());
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.attempts(Stage::Ready), 0);
    assert!(sink.offer('a', &user).is_ready());
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.attempts(Stage::Ready), 1);
    probe.assert_lawful();
}

#[test]
fn a_driver_whose_items_were_taken_back_no_longer_waits_to_send_them() {
    let (probe, user, task) = (Probe::with_room(0), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 8, Strategy::block());
    assert!(sink.offer('a', &user).is_ready());
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(sink.take_remainder(), ['a']);
    assert_eq!(task.wakes(), 1);
    assert!(sink.close_once(&user).is_pending());
    assert_eq!(run(&mut driver, &task), Poll::Ready(Ok(())));
}

/// Takes everything back the moment it is asked whether it is ready.
struct Fickle(Probe<char>, Arc<Mutex<Option<Driven<char, Broken>>>>);

impl Sink<char> for Fickle {
    type Error = Broken;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if let Some(handle) = self.1.lock().unwrap().as_mut() {
            assert_eq!(handle.take_remainder(), ['a']);
        }
        Pin::new(&mut self.0).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: char) -> Result<(), Broken> {
        Pin::new(&mut self.0).start_send(item)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

#[test]
fn d1_a_readiness_whose_item_was_taken_back_is_kept_for_the_next() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let handle = Arc::new(Mutex::new(None));
    let inner = Fickle(probe.clone(), Arc::clone(&handle));
    let (mut sink, mut driver) = inner.bounded(config(|c| c.capacity(4))).drive();
    assert!(sink.offer('a', &user).is_ready());
    *handle.lock().unwrap() = Some(sink);
    assert!(run(&mut driver, &task).is_pending());
    let mut sink = handle.lock().unwrap().take().unwrap();
    assert!(sink.offer('b', &user).is_ready());
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!((probe.got(), probe.attempts(Stage::Ready)), (vec!['b'], 1));
    probe.assert_lawful();
}

#[test]
fn d5_one_poll_of_the_driver_is_bounded() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 1000, Strategy::block());
    for item in 0..1000 {
        assert!(sink.offer(item, &user).is_ready());
    }
    assert!(poll(&mut driver, &task).is_pending());
    assert_eq!((probe.got().len(), task.wakes()), (64, 1));
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.got().len(), 1000);
}

#[test]
fn w1_w2_freed_room_wakes_the_latest_task_of_the_handle() {
    let (probe, first, second, task) = (Probe::with_room(0), Task::new(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 2, Strategy::block());
    for item in 0..2 {
        assert!(sink.offer(item, &first).is_ready());
    }
    assert!(sink.ready(&first).is_pending());
    assert!(sink.ready(&second).is_pending());
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!((first.wakes(), second.wakes()), (0, 0));
    probe.make_room(1);
    assert_eq!(task.wakes(), 1);
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    assert!(sink.offer(2, &second).is_ready());
    assert_eq!(task.wakes(), 0, "a driver that waits for the inner sink is left alone");
}

#[test]
fn w3_at_rest_neither_side_wakes_itself() {
    let (probe, user, task) = (Probe::with_room(0), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 1, Strategy::block());
    assert!(poll(&mut driver, &task).is_pending());
    assert!(sink.offer('a', &user).is_ready());
    assert_eq!(task.wakes(), 1);
    for _ in 0..10 {
        assert!(poll(&mut driver, &task).is_pending());
        assert!(sink.ready(&user).is_pending());
        assert!(sink.flush_once(&user).is_pending());
    }
    assert_eq!((task.wakes(), user.wakes()), (0, 0));
}

#[test]
fn w4_t5_dropping_the_driver_wakes_the_handle_and_items_come_back() {
    let (probe, user, task) = (Probe::with_room(0), Task::new(), Task::new());
    for wait in [Stage::Ready, Stage::Flush, Stage::Close] {
        let (mut sink, mut driver) = driven(&probe, 1, Strategy::block());
        assert!(sink.offer('a', &user).is_ready());
        assert!(run(&mut driver, &task).is_pending());
        let mut ask = |user: &Arc<Task>| match wait {
            Stage::Ready | Stage::Send => sink.ready(user),
            Stage::Flush => sink.flush_once(user),
            Stage::Close => sink.close_once(user),
        };
        assert!(ask(&user).is_pending());
        drop(driver);
        assert_eq!(user.wakes(), 1, "{wait:?}");
        assert_eq!(ask(&user), Poll::Ready(Err(BackpressureSinkError::Closed(None))), "{wait:?}");
        assert_eq!(sink.start('b'), Err(BackpressureSinkError::Closed(Some('b'))));
        assert_eq!(sink.gauge().state(), State::Draining);
        assert_eq!(sink.take_remainder(), ['a']);
        assert_balanced(&sink.gauge());
    }
}

/// Its wake uses the handle.
struct Reentrant(Mutex<Option<Driven<u32, Broken>>>);

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        if let Some(sink) = self.0.lock().unwrap().as_mut() {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut *sink).poll_ready(&mut cx).is_ready());
            assert_eq!(sink.start(99), Ok(()));
        }
    }
}

#[test]
fn w5_a_waker_may_use_the_handle() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let (mut sink, mut driver) = driven(&probe, 1, Strategy::block());
    let waker = Arc::new(Reentrant(Mutex::new(None)));
    sink.start(1).unwrap();
    let ready = Pin::new(&mut sink).poll_ready(&mut Context::from_waker(&Arc::clone(&waker).into()));
    assert!(ready.is_pending());
    *waker.0.lock().unwrap() = Some(sink);
    probe.make_room(9);
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.got(), [1, 99]);
}

#[test]
fn t1_t9_the_rest_is_delivered_and_the_inner_sink_closed_once_when_the_handle_is_closed_or_dropped() {
    for closes in [true, false] {
        let (probe, user, task) = (Probe::with_room(0), Task::new(), Task::new());
        let (mut sink, mut driver) = driven(&probe, 4, Strategy::block());
        let gauge = sink.gauge();
        for item in 0..3 {
            assert!(sink.offer(item, &user).is_ready());
        }
        assert!(run(&mut driver, &task).is_pending());
        if closes {
            assert!(sink.close_once(&user).is_pending());
            assert_eq!(sink.start(9), Err(BackpressureSinkError::Closed(Some(9))));
        }
        let handle = closes.then_some(sink);
        assert_eq!(gauge.state(), State::Draining);
        probe.make_room(9);
        assert_eq!(run(&mut driver, &task), Poll::Ready(Ok(())));
        assert_eq!((probe.got(), probe.attempts(Stage::Close)), (vec![0, 1, 2], 1));
        if let Some(mut sink) = handle {
            assert_eq!(user.wakes(), 1);
            assert_eq!(sink.close_once(&user), Poll::Ready(Ok(())));
            assert_eq!(sink.flush_once(&user), Poll::Ready(Ok(())));
            drop(driver);
            assert_eq!(sink.close_once(&user), Poll::Ready(Ok(())));
        }
        probe.assert_lawful();
    }
}

#[test]
fn t3_an_error_stops_the_driver_until_the_handle_has_heard_of_it() {
    const ITEMS: usize = 6;
    for stage in STAGES {
        for k in 0..if stage == Stage::Ready || stage == Stage::Send { ITEMS } else { 1 } {
            let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
            let (mut sink, mut driver) = driven(&probe, ITEMS, Strategy::block());
            for item in 0..ITEMS {
                assert!(sink.offer(item, &user).is_ready());
            }
            probe.script().fails = Some((stage, k));
            let (mut errors, mut output) = (Vec::new(), Poll::Pending);
            for ask in [Poke::flush_once, Poke::close_once] {
                loop {
                    match ask(&mut sink, &user) {
                        Poll::Ready(Ok(())) => break,
                        Poll::Ready(Err(error)) => errors.push(error),
                        Poll::Pending => {
                            assert!(output.is_pending());
                            user.wakes();
                            output = run(&mut driver, &task);
                            assert_eq!(user.wakes(), 1, "{stage:?} {k}: the driver went on without telling");
                        }
                    }
                }
            }
            let (lost, in_doubt) = match stage {
                Stage::Ready => (0, k),
                Stage::Send => (1, k),
                Stage::Flush => (0, ITEMS),
                Stage::Close => (0, 0),
            };
            let expected = BackpressureSinkError::Inner { source: Broken(stage), lost, in_doubt };
            assert_eq!(errors, [expected], "{stage:?} {k}");
            assert_eq!(output, Poll::Ready(Ok(())), "the handle has heard of it, so the driver does not repeat it");
            assert_eq!(probe.got().len() + lost, ITEMS);
            assert_balanced(&sink.gauge());
            probe.assert_lawful();
        }
    }
}

#[test]
fn t3_while_the_error_is_unheard_the_rest_can_be_taken_back() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 8, Strategy::block());
    for item in 0..6 {
        assert!(sink.offer(item, &user).is_ready());
    }
    probe.script().fails = Some((Stage::Send, 2));
    assert!(run(&mut driver, &task).is_pending());
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.got(), [0, 1]);
    assert_eq!(sink.take_remainder(), [3, 4, 5]);
    assert!(run(&mut driver, &task).is_pending());
    assert!(matches!(sink.ready(&user), Poll::Ready(Err(BackpressureSinkError::Inner { lost: 1, .. }))));
    assert_eq!(task.wakes(), 1, "the driver goes on");
    assert!(sink.ready(&user).is_ready());
}

#[test]
fn t3_without_a_handle_the_error_ends_the_driver_and_the_hook_gets_the_rest() {
    let losses: Arc<Mutex<Vec<(usize, DropReason)>>> = Arc::default();
    for dropped_first in [true, false] {
        let hook = Arc::clone(&losses);
        let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
        let sink = probe.clone().bounded(config(|c| c.capacity(8)));
        let sink = sink.on_drop(move |item, reason| hook.lock().unwrap().push((item, reason)));
        let (mut sink, mut driver) = sink.drive();
        let gauge = sink.gauge();
        for item in 0..4 {
            assert!(sink.offer(item, &user).is_ready());
        }
        probe.script().fails = Some((Stage::Send, 1));
        if !dropped_first {
            assert!(run(&mut driver, &task).is_pending());
        }
        drop(sink);
        let output = run(&mut driver, &task);
        let expected = BackpressureSinkError::Inner { source: Broken(Stage::Send), lost: 1, in_doubt: 1 };
        assert_eq!(output, Poll::Ready(Err(expected)));
        drop(driver);
        let expected = [(2, DropReason::Closed), (3, DropReason::Closed)];
        assert_eq!(std::mem::take(&mut *losses.lock().unwrap()), expected);
        assert_eq!(gauge.snapshot().counts.failed(), 1);
        assert_balanced(&gauge);
    }
}

#[test]
fn c2_a_panic_of_the_inner_sink_fails_its_item_and_closes_the_handle() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 8, Strategy::block());
    for item in 0..4 {
        assert!(sink.offer(item, &user).is_ready());
    }
    probe.script().panics = Some((Stage::Send, 1));
    assert!(catch_unwind(AssertUnwindSafe(|| run(&mut driver, &task))).is_err());
    drop(driver);
    assert_eq!(sink.ready(&user), Poll::Ready(Err(BackpressureSinkError::Closed(None))));
    assert_eq!(sink.take_remainder(), [2, 3]);
    let counts = sink.gauge().snapshot().counts;
    assert_eq!((counts.delivered, counts.failed()), (1, 1));
    assert_balanced(&sink.gauge());
}

#[test]
fn t6_once_both_are_gone_nothing_is_kept_alive() {
    let item = Rc::new(());
    for driver_first in [true, false] {
        let (probe, user) = (Probe::with_room(0), Task::new());
        let (mut sink, mut driver) = driven(&probe, 4, Strategy::block());
        assert!(sink.offer(Rc::clone(&item), &user).is_ready());
        assert!(sink.flush_once(&user).is_pending() && poll(&mut driver, &user).is_pending());
        if driver_first {
            drop(driver);
            drop(sink);
        } else {
            drop(sink);
            drop(driver);
        }
        assert_eq!(Rc::strong_count(&item), 1);
        drop(probe);
        assert_eq!(Arc::strong_count(&user), 1, "no waker is left");
    }
}

#[test]
fn i3_with_nothing_sent_a_flush_is_ready_before_the_driver_has_ever_run() {
    let (probe, user) = (Probe::<u8>::ready(), Task::new());
    let (mut sink, _driver) = driven(&probe, 4, Strategy::block());
    assert_eq!(sink.flush_once(&user), Poll::Ready(Ok(())));
}

#[test]
fn dropping_strategies_need_no_driver_to_answer() {
    let (probe, user, task) = (Probe::ready(), Task::new(), Task::new());
    let (mut sink, mut driver) = driven(&probe, 2, Strategy::DropOldest);
    for item in 0..10 {
        assert_eq!(sink.offer(item, &user), Poll::Ready(Ok(())));
    }
    assert!(run(&mut driver, &task).is_pending());
    assert_eq!(probe.got(), [8, 9]);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Offer(usize),
    Flush,
    Drive,
    Room(usize),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0usize..5).prop_map(Step::Offer),
        1 => Just(Step::Flush),
        3 => Just(Step::Drive),
        3 => (1usize..4).prop_map(Step::Room),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    /// The driver is polled when the schedule says so, woken or not; at the end both sides only follow their wakes.
    #[test]
    fn i1_c1_d3_no_wake_is_lost_and_the_output_is_the_input(steps in steps(), capacity in 1usize..5) {
        let (probe, user, task) = (Probe::with_room(0), Task::new(), Task::new());
        let limits = config(|c| c.capacity(capacity).max_weight(6));
        let sink = probe.clone().bounded(limits).weigh_by(|(_, weight): &(usize, usize)| *weight);
        let (mut sink, mut driver) = sink.drive();
        let gauge = sink.gauge();
        let mut sent = Vec::new();
        let mut is_woken = true;
        for step in steps {
            match step {
                Step::Offer(weight) => {
                    let item = (sent.len(), weight);
                    if sink.offer(item, &user).is_ready() {
                        sent.push(item);
                    }
                }
                Step::Flush => { let _ = sink.flush_once(&user); }
                Step::Drive => {
                    prop_assert!(poll(&mut driver, &task).is_pending());
                    is_woken = false;
                }
                Step::Room(room) => probe.make_room(room),
            }
            is_woken |= task.wakes() > 0;
            let snapshot = gauge.snapshot();
            prop_assert!(snapshot.counts.balances());
            prop_assert!(snapshot.counts.queued <= capacity as u64 && snapshot.weight <= 6);
        }
        let rest = (sent.len()..sent.len() + 20).map(|n| (n, n % 5));
        for item in rest {
            while sink.offer(item, &user).is_pending() {
                user.wakes();
                probe.make_room(1);
                is_woken |= task.wakes() > 0;
                if std::mem::take(&mut is_woken) {
                    prop_assert!(run(&mut driver, &task).is_pending());
                }
                prop_assert!(user.wakes() > 0 || sink.ready(&user).is_pending(), "a wake of the handle was lost");
            }
            sent.push(item);
            is_woken |= task.wakes() > 0;
        }
        drop(sink);
        probe.make_room(usize::MAX);
        prop_assert!(is_woken || task.wakes() > 0);
        prop_assert_eq!(run(&mut driver, &task), Poll::Ready(Ok(())));
        prop_assert_eq!(probe.got(), sent);
        prop_assert_eq!(probe.attempts(Stage::Close), 1);
        prop_assert!(gauge.snapshot().counts.balances());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_across_threads_everything_arrives_in_order() {
    use futures_util::{SinkExt, StreamExt, stream};

    const ITEMS: u32 = 100_000;
    let probe = Probe::ready();
    let (sink, driver) = driven(&probe, 16, Strategy::block());
    let driver = tokio::spawn(driver);
    stream::iter(0..ITEMS).map(Ok).forward(sink).await.unwrap();
    driver.await.unwrap().unwrap();
    assert_eq!(probe.got(), (0..ITEMS).collect::<Vec<_>>());

    let (mut sink, driver) = driven(&probe, 16, Strategy::block());
    let driver = tokio::spawn(driver);
    for item in 0..1000 {
        sink.send(item).await.unwrap();
        assert_eq!(probe.got().last(), Some(&item), "a send that returned has been delivered");
    }
    drop(sink);
    driver.await.unwrap().unwrap();
}

#[cfg(feature = "rt")]
#[tokio::test]
async fn t6_a_spawned_driver_ends_with_its_handle() {
    use futures_util::SinkExt;

    let probe = Probe::ready();
    let mut sink = probe.clone().bounded(config(|c| c.capacity(4))).spawn();
    sink.feed('a').await.unwrap();
    drop(sink);
    while probe.attempts(Stage::Close) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(probe.got(), ['a']);
}
