//! How long producers wait, in vain or not.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::Gauge;
use backpressure_sink::{BackpressureSinkExt, Driven, Driver, ServiceSink};
use tower::Service;

use crate::kit::{Broken, Poke, Probe, Stage, Task, config, poll};

const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn assert_waited(gauge: &Gauge) {
    let snapshot = gauge.snapshot();
    let p99 = snapshot.producer_wait_p99;
    assert!(p99 >= Some(400 * MS) && p99 <= Some(600 * MS), "{p99:?}");
    assert_eq!(snapshot.producers_waiting, 0);
}

/// A probe that breaks when it is next asked whether it is ready.
fn breaks(probe: &Probe<u32>) {
    let attempts = probe.attempts(Stage::Ready);
    probe.script().fails = Some((Stage::Ready, attempts));
    probe.make_room(1);
}

/// Waits half a second for a sink that is full.
async fn wait(sink: &mut impl Poke<u32>, gauge: &Gauge, task: &Arc<Task>) {
    assert!(sink.ready(task).is_pending());
    tokio::time::advance(250 * MS).await;
    assert!(sink.ready(task).is_pending());
    assert_eq!(gauge.snapshot().producers_waiting, 1, "once, however often it is polled");
    tokio::time::advance(250 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn m2_fifty_waits_that_end_in_an_error_of_the_inner_sink_are_in_the_wait_time() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.clone().bounded(config(|c| c.capacity(1)));
    let gauge = sink.gauge();
    assert!(sink.offer(0, &task).is_ready());
    for _ in 0..50 {
        wait(&mut sink, &gauge, &task).await;
        breaks(&probe);
        assert!(matches!(sink.ready(&task), Poll::Ready(Err(_))));
        probe.script().room = 0;
    }
    assert_waited(&gauge);
}

#[tokio::test(start_paused = true)]
async fn m2_however_a_wait_for_a_sink_ends_it_is_in_the_wait_time() {
    for ending in ["room", "close", "drop"] {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = probe.clone().bounded(config(|c| c.capacity(1)));
        let gauge = sink.gauge();
        assert!(sink.offer(0, &task).is_ready());
        wait(&mut sink, &gauge, &task).await;
        match ending {
            "room" => {
                probe.make_room(1);
                assert_eq!(sink.offer(1, &task), Poll::Ready(Ok(())));
            }
            "close" => assert!(sink.close_once(&task).is_pending()),
            _ => drop(sink),
        }
        assert_waited(&gauge);
    }
}

fn driven(probe: &Probe<u32>) -> (Driven<u32, Broken>, Driver<Probe<u32>, u32>) {
    probe.clone().bounded(config(|c| c.capacity(1))).drive()
}

#[tokio::test(start_paused = true)]
async fn m2_fifty_waits_for_a_driven_sink_that_end_in_an_error_are_in_the_wait_time() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let (mut sink, mut driver) = driven(&probe);
    let gauge = sink.gauge();
    assert!(sink.offer(0, &task).is_ready());
    for _ in 0..50 {
        wait(&mut sink, &gauge, &task).await;
        breaks(&probe);
        assert!(poll(&mut driver, &task).is_pending());
        assert!(matches!(sink.ready(&task), Poll::Ready(Err(_))));
        probe.script().room = 0;
    }
    assert_waited(&gauge);
}

#[tokio::test(start_paused = true)]
async fn m2_however_a_wait_for_a_driven_sink_ends_it_is_in_the_wait_time() {
    for ending in ["room", "close", "drop", "no driver"] {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let (mut sink, mut driver) = driven(&probe);
        let gauge = sink.gauge();
        assert!(sink.offer(0, &task).is_ready());
        wait(&mut sink, &gauge, &task).await;
        match ending {
            "room" => {
                probe.make_room(1);
                assert!(poll(&mut driver, &task).is_pending());
                // The wait is over when there is room, whenever the producer finds out.
                tokio::time::advance(1000 * MS).await;
                assert_eq!(sink.offer(1, &task), Poll::Ready(Ok(())));
            }
            "close" => assert!(sink.close_once(&task).is_pending()),
            "drop" => drop(sink),
            _ => drop(driver),
        }
        assert_waited(&gauge);
    }
}

#[tokio::test(start_paused = true)]
async fn m2_an_item_that_was_held_outside_until_the_sink_went_is_in_the_wait_time() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.bounded(config(|c| c.capacity(4).max_weight(4))).weigh_by(|weight: &u32| *weight as usize);
    let gauge = sink.gauge();
    for weight in [3, 2] {
        assert!(sink.offer(weight, &task).is_ready());
    }
    wait(&mut sink, &gauge, &task).await;
    assert!(sink.close_once(&task).is_pending());
    assert_eq!(gauge.snapshot().producers_waiting, 1, "it has still to enter");
    drop(sink);
    assert_waited(&gauge);
}

/// Ready for a call when it is told to be; no call is ever answered.
struct Gate(bool);

impl Service<u32> for Gate {
    type Response = ();
    type Error = ();
    type Future = std::future::Pending<Result<(), ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        if self.0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _: u32) -> Self::Future {
        std::future::pending()
    }
}

#[tokio::test(start_paused = true)]
async fn m2_however_a_wait_for_a_service_ends_it_is_in_the_wait_time() {
    for ending in ["ready", "close", "drop"] {
        for is_ready in [false, true] {
            let task = Task::new();
            let mut sink = ServiceSink::new(Gate(is_ready));
            let gauge = sink.gauge();
            if is_ready {
                assert!(sink.offer(0, &task).is_ready());
            }
            wait(&mut sink, &gauge, &task).await;
            match ending {
                "ready" if is_ready => continue,
                "ready" => {
                    sink.get_mut().0 = true;
                    assert_eq!(sink.ready(&task), Poll::Ready(Ok(())));
                }
                "close" => assert_eq!(sink.close_once(&task).is_ready(), !is_ready),
                _ => drop(sink),
            }
            assert_waited(&gauge);
        }
    }
}
