use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tower::Service;

use crate::support::{Act, Target, Task, counting, outputs, rig};

#[test]
fn w1_the_latest_waker_is_woken() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let mut call = rig.call(1);
    let (old, (new, waker)) = (Arc::clone(&call.wakes), counting());
    assert!(call.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    rig.work();
    assert_eq!((old.get(), new.get()), (0, 1));
    assert_eq!(call.output().unwrap(), 10);
}

#[test]
fn w1_the_latest_waker_of_a_handle_in_line_is_woken() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.capacity(1).max_items(1));
    let call = rig.call(1);
    let ((old, old_waker), (new, new_waker)) = (counting(), counting());
    let mut handle = rig.handle();
    for waker in [&old_waker, &new_waker, &new_waker] {
        assert!(handle.poll_ready(&mut Context::from_waker(waker)).is_pending());
    }
    drop(call);
    assert_eq!((old.get(), new.get()), (0, 1));
}

#[test]
fn w2_only_the_callers_of_a_batch_are_woken_and_once() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2).concurrency(2));
    let calls = rig.calls(0..4);
    rig.work();
    target.let_go(1, Act::Answer);
    rig.work();
    assert_eq!(calls.iter().map(|call| call.wakes.get()).collect::<Vec<_>>(), [0, 0, 1, 1]);
}

#[test]
fn w3_at_rest_nothing_wakes_itself() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let _calls = rig.calls(0..5);
    rig.work();
    let wakes = |rig: &crate::support::Rig| rig.worker.as_ref().unwrap().wakes.get();
    let before = wakes(&rig);
    let _more = rig.calls(5..100);
    assert_eq!(wakes(&rig), before, "a busy worker is not told of every call");
    let _ = rig.worker.as_mut().unwrap().poll();
    assert_eq!(wakes(&rig), before);
}

#[test]
fn w2_an_idle_worker_is_woken_by_the_first_call_alone() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    rig.work();
    let wakes = |rig: &crate::support::Rig| rig.worker.as_ref().unwrap().wakes.get();
    let before = wakes(&rig);
    let _calls = rig.calls(0..50);
    assert_eq!(wakes(&rig) - before, 1);
}

/// Calls back into the batcher when it is woken.
struct Reentrant(std::sync::Mutex<Box<dyn FnMut() + Send>>);

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        (self.0.lock().unwrap())();
    }
}

#[test]
fn w5_a_waker_may_call_back_in() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.capacity(1).max_items(1));
    let mut handle = rig.handle();
    let mut again = Vec::new();
    let (done, calls) = std::sync::mpsc::channel();
    let waker: Waker = Arc::new(Reentrant(std::sync::Mutex::new(Box::new(move || {
        if handle.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready() {
            done.send(handle.call(2)).unwrap();
        }
    }))))
    .into();
    let mut call = rig.call(1);
    assert!(call.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    rig.work();
    again.extend(calls.try_iter().map(Task::new));
    rig.work();
    assert_eq!(again.len(), 1);
    assert_eq!(outputs(&mut again).remove(0).unwrap(), 20);
}

#[test]
fn w6_an_answer_between_two_polls_is_found_by_the_second() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let batch = rig.batch.as_mut().unwrap();
    assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    let mut call = Task::new(batch.call(4));
    rig.work();
    assert_eq!(call.output().unwrap(), 40, "answered before it was ever polled");
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

fn panics(act: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err()
}

#[test]
fn w5_callers_are_answered_and_woken_although_the_waker_of_one_panics() {
    let bad = Waker::from(Arc::new(Panics));
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(3));
    let gauge = rig.handle().gauge();
    let mut calls = rig.calls(0..3);
    assert!(calls[1].future.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    let work = || {
        rig.work();
    };
    assert!(panics(work), "the panic goes on");
    assert_eq!([0, 2].map(|n| calls[n].wakes.get()), [1, 1]);
    assert_eq!(outputs(&mut calls).into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 10, 20]);
    assert!(gauge.snapshot().counts.balances());
}

#[test]
fn w5_those_in_line_and_the_watchers_hear_of_the_end_although_one_panics() {
    let bad = Waker::from(Arc::new(Panics));
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.capacity(1).max_items(1));
    let _call = rig.call(0);
    let mut line: Vec<_> = (0..3).map(|_| (rig.handle(), counting())).collect();
    for (n, (handle, (_, waker))) in line.iter_mut().enumerate() {
        let waker = if n == 0 { &bad } else { &*waker };
        assert!(handle.poll_ready(&mut Context::from_waker(waker)).is_pending());
    }
    let mut changed = Box::pin(rig.handle().gauge().changed());
    assert!(changed.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    assert!(panics(|| drop(rig.handle().drain(std::time::Duration::MAX))));
    assert!(line[1..].iter().all(|(_, (wakes, _))| wakes.get() == 1));
}
