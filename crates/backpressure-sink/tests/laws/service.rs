//! A service as a sink.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use backpressure_core::{DropReason, State};
use backpressure_sink::{BackpressureSinkError, BackpressureSinkExt, ServiceSink};
use futures_util::{SinkExt, StreamExt, stream};
use tower::Service;

use crate::kit::{Poke, Task, assert_balanced, config, poll};

type Failure<E> = BackpressureSinkError<u32, E>;

/// Calls that are answered when the test says so, under the number of their request.
#[derive(Clone, Default)]
struct Desk(Rc<Inner>);

#[derive(Default)]
struct Inner {
    calls: RefCell<Vec<u32>>,
    answers: RefCell<Vec<Option<Result<u32, &'static str>>>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    /// Whether the service is ready.
    closed: Cell<bool>,
    readied: Cell<bool>,
    panics_on: Cell<Option<u32>>,
    polls: Cell<usize>,
}

struct Call(Desk, u32);

impl Desk {
    fn answer(&self, request: u32, answer: Result<u32, &'static str>) {
        self.0.answers.borrow_mut()[request as usize] = Some(answer);
        if let Some(waker) = self.0.wakers.borrow_mut()[request as usize].take() {
            waker.wake();
        }
    }

    fn calls(&self) -> Vec<u32> {
        self.0.calls.borrow().clone()
    }
}

impl Service<u32> for Desk {
    type Response = u32;
    type Error = &'static str;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.0.closed.get() {
            return Poll::Pending;
        }
        self.0.readied.set(true);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Call {
        assert!(self.0.readied.replace(false), "called without a readiness of its own");
        self.0.calls.borrow_mut().push(request);
        let size = request as usize + 1;
        if self.0.answers.borrow().len() < size {
            self.0.answers.borrow_mut().resize(size, None);
            self.0.wakers.borrow_mut().resize(size, None);
        }
        Call(self.clone(), request)
    }
}

impl Future for Call {
    type Output = Result<u32, &'static str>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let desk = &self.0.0;
        desk.polls.set(desk.polls.get() + 1);
        assert_ne!(desk.panics_on.get(), Some(self.1), "told to");
        let request = self.1 as usize;
        if let Some(answer) = desk.answers.borrow_mut()[request].take() {
            return Poll::Ready(answer);
        }
        desk.wakers.borrow_mut()[request] = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn sink(desk: &Desk, concurrency: usize) -> ServiceSink<Desk, u32> {
    ServiceSink::new(desk.clone()).concurrency(concurrency).unwrap()
}

#[test]
fn d7_a_concurrency_of_zero_is_refused() {
    let error = ServiceSink::new(Desk::default()).concurrency(0).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "concurrency is 0, but must be at least 1");
}

#[test]
fn d1_s4_readiness_is_free_concurrency_and_the_services_own() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = sink(&desk, 2);
    assert!(sink.offer(0, &task).is_ready());
    assert!(sink.offer(1, &task).is_ready());
    assert!(sink.ready(&task).is_pending());
    assert_eq!(sink.gauge().state(), State::Blocked);
    desk.answer(1, Ok(1));
    assert_eq!(task.wakes(), 1);
    desk.0.closed.set(true);
    assert!(sink.ready(&task).is_pending(), "a call may be made, but the service is not ready");
    assert_eq!(sink.gauge().state(), State::Blocked, "however few the calls");
    desk.0.closed.set(false);
    assert!(sink.ready(&task).is_ready());
    assert!(sink.ready(&task).is_ready(), "one readiness for one call");
    assert_eq!(sink.gauge().state(), State::Elevated);
    sink.start(2).unwrap();
    assert_eq!(desk.calls(), [0, 1, 2]);
}

#[test]
fn d4_a_call_without_readiness_is_not_made() {
    let desk = Desk::default();
    let mut sink = sink(&desk, 2);
    assert_eq!(sink.start(7), Err(Failure::Full(7)));
    assert_eq!(desk.calls(), [0; 0]);
    assert_eq!(sink.gauge().snapshot().counts.rejected, 1);
}

#[test]
fn d6_an_endless_concurrency_allocates_nothing_ahead() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = sink(&desk, usize::MAX);
    for request in 0..500 {
        assert!(sink.offer(request, &task).is_ready());
    }
    (0..500).for_each(|request| desk.answer(request, Ok(0)));
    while sink.flush_once(&task).is_pending() {
        assert!(task.wakes() > 0);
    }
    assert_eq!(sink.gauge().snapshot().counts.delivered, 500);
}

#[test]
fn s6_one_slow_call_holds_up_no_other_and_costs_no_polls() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = sink(&desk, 2);
    for request in 0..100 {
        assert!(sink.offer(request, &task).is_ready(), "{request}");
        if request > 0 {
            desk.answer(request, Ok(request));
        }
    }
    assert!(sink.flush_once(&task).is_pending());
    assert_eq!(sink.gauge().snapshot().counts.in_flight, 1);
    assert!(desk.0.polls.get() < 250, "{} polls: the slow call is polled when it is woken", desk.0.polls.get());
    desk.answer(0, Ok(0));
    assert!(sink.flush_once(&task).is_ready());
}

#[test]
fn responses_go_to_the_hook_as_they_come() {
    let (desk, task) = (Desk::default(), Task::new());
    let (responses, seen) = std::sync::mpsc::channel();
    let mut sink = sink(&desk, 3).on_response(move |response| responses.send(response).unwrap());
    for request in 0..3 {
        assert!(sink.offer(request, &task).is_ready());
    }
    assert!(sink.flush_once(&task).is_pending());
    for request in [2, 0, 1] {
        desk.answer(request, Ok(request * 10));
        let _ = sink.flush_once(&task);
    }
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [20, 0, 10]);
}

#[test]
fn t3_each_failed_call_surfaces_once_and_the_others_go_on() {
    const CALLS: u32 = 5;
    for k in 0..CALLS {
        let (desk, task) = (Desk::default(), Task::new());
        let mut sink = sink(&desk, CALLS as usize);
        for request in 0..CALLS {
            assert!(sink.offer(request, &task).is_ready());
        }
        for request in 0..CALLS {
            desk.answer(request, if request == k { Err("no") } else { Ok(0) });
        }
        let mut errors = Vec::new();
        while let Poll::Ready(Err(error)) = sink.flush_once(&task) {
            errors.push(error);
        }
        assert_eq!(errors, [Failure::Inner { source: "no", lost: 1, in_doubt: 0 }]);
        assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
        let counts = sink.gauge().snapshot().counts;
        assert_eq!((counts.delivered, counts.failed(), counts.in_flight), (4, 1, 0));
        assert_balanced(&sink.gauge());
        assert!(sink.offer(CALLS, &task).is_ready(), "and more calls can be made");
    }
}

#[test]
fn t3_a_service_that_fails_for_good_closes_the_sink_and_its_calls_go_on() {
    struct Worn(Desk, usize);
    impl Service<u32> for Worn {
        type Response = u32;
        type Error = &'static str;
        type Future = Call;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            assert_ne!(self.1, usize::MAX, "asked again after it failed");
            self.1 = self.1.wrapping_sub(1);
            if self.1 == usize::MAX { Poll::Ready(Err("worn")) } else { self.0.poll_ready(cx) }
        }

        fn call(&mut self, request: u32) -> Call {
            self.0.call(request)
        }
    }

    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = ServiceSink::new(Worn(desk.clone(), 1)).concurrency(4).unwrap();
    assert!(sink.offer(0, &task).is_ready());
    assert_eq!(sink.ready(&task), Poll::Ready(Err(Failure::Inner { source: "worn", lost: 0, in_doubt: 0 })));
    assert_eq!(sink.ready(&task), Poll::Ready(Err(Failure::Closed(None))));
    assert_eq!(sink.start(1), Err(Failure::Closed(Some(1))));
    assert!(sink.flush_once(&task).is_pending());
    desk.answer(0, Ok(0));
    assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    assert_balanced(&sink.gauge());
}

#[test]
fn s1_the_readied_service_is_the_one_that_is_called() {
    #[derive(Default)]
    struct Picky {
        readied: bool,
        served: Rc<Cell<u32>>,
    }
    impl Clone for Picky {
        fn clone(&self) -> Self {
            Self { readied: false, served: Rc::clone(&self.served) }
        }
    }
    impl Service<u32> for Picky {
        type Response = ();
        type Error = &'static str;
        type Future = Ready<Result<(), Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            self.readied = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: u32) -> Self::Future {
            assert!(std::mem::take(&mut self.readied), "not the one that was ready");
            self.served.set(self.served.get() + 1);
            std::future::ready(Ok(()))
        }
    }

    let (service, task) = (Picky::default(), Task::new());
    let served = Rc::clone(&service.served);
    let mut sink = ServiceSink::new(service);
    for request in 0..10 {
        assert!(sink.offer(request, &task).is_ready());
    }
    assert!(sink.close_once(&task).is_ready());
    assert_eq!(served.get(), 10);
}

#[test]
fn s2_dropping_a_sink_that_is_ready_or_has_calls_frees_their_slots() {
    let (desk, task) = (Desk::default(), Task::new());
    let limited = || tower::limit::ConcurrencyLimit::with_semaphore(desk.clone(), semaphore());
    thread_local!(static SLOTS: std::sync::Arc<tokio::sync::Semaphore> = std::sync::Arc::new(tokio::sync::Semaphore::new(2)));
    fn semaphore() -> std::sync::Arc<tokio::sync::Semaphore> {
        SLOTS.with(std::sync::Arc::clone)
    }

    let mut calling = ServiceSink::new(limited());
    assert!(calling.offer(0, &task).is_ready());
    let gauge = calling.gauge();
    let mut ready = ServiceSink::new(limited());
    assert!(ready.ready(&task).is_ready());
    assert_eq!(semaphore().available_permits(), 0);
    drop(ready);
    drop(calling);
    assert_eq!(semaphore().available_permits(), 2);
    assert_eq!(gauge.snapshot().counts.lost(DropReason::Closed), 1);
    assert_eq!(gauge.state(), State::Draining);
    assert_balanced(&gauge);
}

#[test]
fn s2_over_a_limit_of_one_the_calls_that_hold_it_are_polled_first() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = ServiceSink::new(tower::limit::ConcurrencyLimit::new(desk.clone(), 1)).concurrency(8).unwrap();
    for request in 0..5 {
        assert!(sink.offer(request, &task).is_ready(), "{request}");
        assert!(sink.ready(&task).is_pending());
        desk.answer(request, Ok(0));
    }
    assert!(sink.close_once(&task).is_ready());
}

#[test]
fn a_call_that_panics_frees_its_slot_and_fails_alone() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = sink(&desk, 2);
    for request in 0..2 {
        assert!(sink.offer(request, &task).is_ready());
    }
    desk.0.panics_on.set(Some(1));
    assert!(catch_unwind(AssertUnwindSafe(|| sink.flush_once(&task))).is_err());
    let counts = sink.gauge().snapshot().counts;
    assert_eq!((counts.in_flight, counts.failed()), (1, 1));
    assert_balanced(&sink.gauge());
    desk.answer(0, Ok(0));
    assert!(sink.flush_once(&task).is_ready());
}

#[test]
fn t1_t2_close_waits_for_the_calls_and_nothing_is_called_afterwards() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = sink(&desk, 2);
    assert!(sink.offer(0, &task).is_ready());
    assert!(sink.close_once(&task).is_pending());
    assert_eq!(sink.gauge().state(), State::Draining);
    assert_eq!(sink.start(1), Err(Failure::Closed(Some(1))));
    desk.answer(0, Ok(0));
    assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
    assert_eq!(sink.ready(&task), Poll::Ready(Err(Failure::Closed(None))));
    assert_eq!(desk.calls(), [0]);
}

#[test]
fn i3_with_no_call_in_flight_a_flush_is_ready() {
    let task = Task::new();
    assert_eq!(sink(&Desk::default(), 2).flush_once(&task), Poll::Ready(Ok(())));
    assert_eq!(task.wakes(), 0);
}

#[test]
fn w3_while_calls_are_pending_nothing_spins() {
    let (desk, task) = (Desk::default(), Task::new());
    let mut sink = sink(&desk, 3);
    for request in 0..3 {
        assert!(sink.offer(request, &task).is_ready());
    }
    assert!(sink.flush_once(&task).is_pending());
    let polls = desk.0.polls.get();
    task.wakes();
    for _ in 0..10 {
        assert!(sink.flush_once(&task).is_pending());
        assert!(sink.ready(&task).is_pending());
    }
    assert_eq!((task.wakes(), desk.0.polls.get()), (0, polls));
}

/// The service at the end of `forward` is felt by the source at its beginning, through `poll_ready` alone.
#[test]
fn d2_pressure_travels_from_a_slow_service_through_the_buffer_to_the_source() {
    let (desk, task) = (Desk::default(), Task::new());
    let pulled = Rc::new(Cell::new(0));
    let counter = Rc::clone(&pulled);
    let source = stream::iter(0..100).inspect(move |_| counter.set(counter.get() + 1));
    let service = sink(&desk, 2).sink_map_err(|error| error.to_string());
    let sink = service.bounded(config(|c| c.capacity(4)));
    let mut forward = source.map(Ok).forward(sink);
    let mut unanswered = VecDeque::new();
    for round in 0.. {
        let polled = poll(&mut forward, &task);
        unanswered.extend(desk.calls().into_iter().skip(round as usize + unanswered.len()));
        let Some(request) = unanswered.pop_front() else {
            assert_eq!(polled, Poll::Ready(Ok(())));
            break;
        };
        assert!(polled.is_pending());
        assert!(pulled.get() <= round + 2 + 4 + 1, "answered, in flight, buffered, and in the hands of `forward`");
        task.wakes();
        desk.answer(request, Ok(0));
        assert_eq!(task.wakes(), 1);
    }
    assert_eq!(desk.calls(), (0..100).collect::<Vec<_>>());
}
