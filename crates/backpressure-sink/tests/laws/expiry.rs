//! E1 to E3, items that expire before the inner sink takes them.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use backpressure_core::{DropReason, Strategy};
use backpressure_rt::now;
use backpressure_sink::BackpressureSinkExt;
use tokio::time::advance;

use crate::kit::{Poke, Probe, Task, assert_balanced, config, poll};

const MS: Duration = Duration::from_millis(1);

type Lost = Arc<Mutex<Vec<u32>>>;

fn hook() -> (Lost, impl Fn(u32, DropReason) + Send + Sync + 'static) {
    let lost = Lost::default();
    let given = Arc::clone(&lost);
    (given, move |item, reason| {
        if reason == DropReason::Expired {
            lost.lock().unwrap().push(item);
        }
    })
}

#[tokio::test(start_paused = true)]
async fn e1_e2_what_grew_too_old_before_the_inner_sink_was_ready_does_not_reach_it() {
    for strategy in [Strategy::block(), Strategy::DropOldest, Strategy::Reject] {
        let (probe, task, (lost, hook)) = (Probe::with_room(1), Task::new(), hook());
        let mut sink =
            probe.clone().bounded(config(|c| c.capacity(8).strategy(strategy).max_age(100 * MS))).on_drop(hook);
        for item in 0..4 {
            assert!(sink.offer(item, &task).is_ready());
        }
        advance(99 * MS).await;
        assert!(sink.offer(4, &task).is_ready());
        advance(MS).await;
        probe.make_room(9);
        assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
        assert_eq!((probe.got(), &*lost.lock().unwrap()), (vec![0, 4], &vec![1, 2, 3]));
        assert_balanced(&sink.gauge());
        assert_eq!(sink.gauge().snapshot().counts.lost(DropReason::Expired), 3);
        probe.assert_lawful();
    }
}

#[tokio::test(start_paused = true)]
async fn e3_a_producer_that_is_to_wait_has_room_once_the_items_before_it_have_expired() {
    for driven in [false, true] {
        let (probe, task, (lost, hook)) = (Probe::with_room(0), Task::new(), hook());
        let sink = probe.clone().bounded(config(|c| c.capacity(2).max_age(100 * MS))).on_drop(hook);
        let mut whole = None;
        let mut halves = None;
        let sink: &mut dyn Poke<u32, Error = _> =
            if driven { &mut halves.insert(sink.drive()).0 } else { whole.insert(sink) };
        assert!(sink.offer(0, &task).is_ready() && sink.offer(1, &task).is_ready());
        assert!(sink.ready(&task).is_pending());
        advance(100 * MS).await;
        assert!(sink.offer(2, &task).is_ready());
        assert_eq!(*lost.lock().unwrap(), [0, 1]);
        probe.make_room(9);
        if let Some((_, driver)) = &mut halves {
            assert!(poll(driver, &task).is_pending());
            assert_eq!(probe.got(), [2]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e1_a_deadline_that_has_passed_counts_in_an_idle_sink_too_and_heavy_items_go_on() {
    for driven in [false, true] {
        let (probe, task, start) = (Probe::with_room(9), Task::new(), now());
        let sink = probe.clone().bounded(config(|c| c.capacity(8).max_weight(10)));
        let sink = sink.weigh_by(|&item: &u32| item as usize % 10).expires_by(move |&item| start + item * MS);
        probe.script().room = 0;
        advance(20 * MS).await;
        let items = [16, 25, 36, 77];
        if driven {
            let (mut handle, mut driver) = sink.drive();
            assert!(handle.offer(16, &task).is_ready() && handle.offer(36, &task).is_ready());
            assert!(poll(&mut driver, &task).is_pending());
            probe.make_room(9);
            assert!(poll(&mut driver, &task).is_pending());
            assert_eq!(probe.got(), [36]);
            assert_eq!(handle.gauge().snapshot().counts.lost(DropReason::Expired), 1);
            assert_balanced(&handle.gauge());
        } else {
            let mut sink = sink;
            for item in items {
                if sink.ready(&task).is_ready() {
                    sink.start(item).unwrap();
                }
            }
            advance(20 * MS).await;
            probe.make_room(9);
            assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
            assert!(probe.got().iter().all(|&item| item > 40), "{:?}", probe.got());
            assert_balanced(&sink.gauge());
        }
        probe.assert_lawful();
    }
}
