//! Shutting a layer down.

use std::time::Duration;

use backpressure_core::State;
use backpressure_tower::{Shed, ShedHandle, ShedLayer, ShedReason};
use tokio::time::{Instant, advance};
use tower::Layer;

use crate::kit::{Desk, Task, call, poll, poll_by, refusal};

const MS: Duration = Duration::from_millis(1);

fn shed() -> (Shed<Desk>, Desk, ShedHandle) {
    let (layer, desk) = (ShedLayer::fixed(10).unwrap(), Desk::new());
    (layer.layer(desk.view()), desk, layer.handle())
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_sheds_what_comes_waits_for_what_is_there_and_reports() {
    let (mut service, desk, handle) = shed();
    let mut flying: Vec<_> = (0..3).map(|_| call(&mut service)).collect();
    flying.iter_mut().for_each(|response| assert!(poll(response.as_mut()).is_pending()));
    assert!(handle.is_ready());
    let mut drain = Box::pin(handle.drain(500 * MS));
    assert!(!handle.is_ready(), "before anything else");
    let task = Task::new();
    assert!(poll_by(&task, drain.as_mut()).is_pending());
    assert_eq!(handle.state(), State::Draining);
    let overloaded = refusal(poll(call(&mut service).as_mut())).unwrap();
    assert_eq!((overloaded.reason(), overloaded.state()), (ShedReason::Draining, State::Draining));
    for response in &mut flying {
        assert_eq!(task.wakes(), 0);
        advance(MS).await;
        desk.answer(Ok(1));
        assert!(poll(response.as_mut()).is_ready());
    }
    assert_eq!(task.wakes(), 1, "when the last is done");
    let report = drain.await;
    assert_eq!((report.finished, report.abandoned, report.shed, report.elapsed), (3, 0, 1, 3 * MS));
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_ends_at_its_deadline_whoever_is_still_there() {
    let (mut service, _, handle) = shed();
    let _stuck = [call(&mut service), call(&mut service)];
    let (start, report) = (Instant::now(), handle.drain(500 * MS).await);
    assert_eq!((report.finished, report.abandoned, report.elapsed), (0, 2, 500 * MS));
    assert_eq!(start.elapsed(), 500 * MS);
}

#[tokio::test(start_paused = true)]
async fn t8_a_drain_of_nothing_is_over_at_once() {
    let (_service, _, handle) = shed();
    let report = handle.drain(Duration::MAX).await;
    assert_eq!((report.finished, report.abandoned, report.elapsed), (0, 0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn during_the_grace_the_layer_is_not_ready_and_still_admits() {
    let (mut service, desk, handle) = shed();
    let mut drain = Box::pin(handle.drain(500 * MS).grace(100 * MS));
    assert!(poll(drain.as_mut()).is_pending());
    assert!(!handle.is_ready());
    let mut late = call(&mut service);
    assert!(poll(late.as_mut()).is_pending());
    advance(100 * MS).await;
    assert!(poll(drain.as_mut()).is_pending());
    assert!(refusal(poll(call(&mut service).as_mut())).is_some());
    desk.answer(Ok(1));
    assert!(poll(late.as_mut()).is_ready());
    let report = drain.await;
    assert_eq!((report.finished, report.shed, report.elapsed), (1, 1, 100 * MS));
}

#[tokio::test(start_paused = true)]
async fn d6_a_grace_without_end_ends_at_the_deadline_and_a_deadline_without_end_is_no_panic() {
    let (mut service, _, handle) = shed();
    let _stuck = call(&mut service);
    let report = handle.drain(10 * MS).grace(Duration::MAX).await;
    assert_eq!((report.abandoned, report.elapsed), (1, 10 * MS));
    let mut endless = Box::pin(handle.drain(Duration::MAX));
    assert!(poll(endless.as_mut()).is_pending());
    drop(_stuck);
    assert_eq!(endless.await.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn x2_a_drain_that_is_dropped_goes_on_and_two_drains_both_report() {
    let (mut service, desk, handle) = shed();
    let mut flying = call(&mut service);
    assert!(poll(flying.as_mut()).is_pending());
    let mut first = Box::pin(handle.drain(500 * MS));
    assert!(poll(first.as_mut()).is_pending());
    drop(first);
    assert!(!handle.is_ready() && refusal(poll(call(&mut service).as_mut())).is_some());
    let mut drains = [Box::pin(handle.drain(500 * MS)), Box::pin(handle.drain(500 * MS))];
    drains.iter_mut().for_each(|drain| assert!(poll(drain.as_mut()).is_pending()));
    desk.answer(Ok(1));
    assert!(poll(flying.as_mut()).is_ready());
    for drain in drains {
        assert_eq!(drain.await.abandoned, 0);
    }
}
