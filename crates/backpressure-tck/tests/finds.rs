//! Each kit finds what is wrong with something that is wrong in one way, and nothing wrong with what is right.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_tck::conforms;
use backpressure_tck::{Channel, Channels, Downstream, Failed, Inner, One, Report, Services, Sinks, Streams, Upstream};
use futures_util::future::FutureExt;
use futures_util::{Sink, SinkExt, Stream, StreamExt, stream};
use tower::Service;
use tower::limit::ConcurrencyLimit;

conforms! {
    a_right_stream = Streams::of(|up| up.map(|item| item)).ahead(0);
    a_right_batcher = Streams::batches(|up, most| up.chunks(most)).ahead(3);
    a_right_sink = Sinks::of(|down| down.with(|item| std::future::ready(Ok::<u32, Failed>(item)))).bound(1);
    a_right_service = Services::of(|inner: Inner| inner.one());
    a_right_limit = Services::of(|inner: Inner| ConcurrencyLimit::new(inner.one(), 2)).inner_limit(3).limit(2);
    a_right_channel = Channels::of(|| queue(Fault::None)).bound(2);
}

fn broken(report: &Report) -> Vec<&'static str> {
    report.failures().map(|(law, _)| law.number).collect()
}

fn schedule<'a>(report: &'a Report, law: &str) -> &'a str {
    let (_, broken) = report.failures().find(|(broken, _)| broken.number == law).expect("it is broken");
    &broken.schedule
}

#[test]
fn i1_a_stream_that_swallows_an_item_is_found_with_the_smallest_schedule() {
    let report = Streams::of(|up| up.filter(|item| std::future::ready(item % 3 != 0))).examine("a filter");
    assert_eq!(broken(&report), ["I1"]);
    assert!(["[Push(3)]", "[Push(1), Push(2)]", "[Push(2), Push(1)]"].contains(&schedule(&report, "I1")), "{report}");
    assert!(report.to_string().contains("1 to 3 went in, [1, 2] out"), "{report}");
}

#[test]
fn i2_a_hint_that_promises_too_much_is_found() {
    let report = Streams::of(|up: Upstream| Hinted(up)).examine("a liar");
    assert_eq!(broken(&report), ["I2"]);
    assert_eq!(schedule(&report, "I2"), "[]");
}

struct Hinted(Upstream);

impl Stream for Hinted {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        self.0.poll_next_unpin(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.size_hint().0 + 1, None)
    }
}

/// A stream over a source by a poll that is wrong.
fn streams(
    poll: impl Fn(&mut Upstream, &mut Context<'_>, &mut Memory) -> Poll<Option<u32>> + Clone + 'static,
) -> Streams {
    Streams::of(move |mut up| {
        let (poll, mut memory) = (poll.clone(), Memory::default());
        stream::poll_fn(move |cx| poll(&mut up, cx, &mut memory))
    })
}

#[derive(Default)]
struct Memory {
    waker: Option<Waker>,
    held: VecDeque<u32>,
    over: bool,
}

#[test]
fn w1_a_stream_that_keeps_its_first_waker_is_found() {
    let stale = |up: &mut Upstream, cx: &mut Context<'_>, memory: &mut Memory| {
        let waker = memory.waker.get_or_insert_with(|| cx.waker().clone()).clone();
        up.poll_next_unpin(&mut Context::from_waker(&waker))
    };
    let report = streams(stale).examine("stale");
    assert!(broken(&report).contains(&"W1"), "{report}");
    assert!(schedule(&report, "W1").contains("PollAnew"), "{report}");
}

#[test]
fn d2_a_stream_that_reads_everything_is_found() {
    let greedy = |up: &mut Upstream, cx: &mut Context<'_>, memory: &mut Memory| {
        while !memory.over && memory.held.len() < 50 {
            let Poll::Ready(item) = up.poll_next_unpin(cx) else { break };
            memory.over = item.is_none();
            memory.held.extend(item);
        }
        match memory.held.pop_front() {
            None if !memory.over => Poll::Pending,
            item => Poll::Ready(item),
        }
    };
    let report = streams(greedy).ahead(1).examine("greedy");
    assert_eq!(broken(&report), ["D2"]);
    assert_eq!(schedule(&report, "D2"), "[Push(3)]");
}

#[test]
fn w3_a_stream_that_spins_is_found() {
    let spins = |up: &mut Upstream, cx: &mut Context<'_>, _: &mut Memory| {
        let item = up.poll_next_unpin(cx);
        if item.is_pending() {
            cx.waker().wake_by_ref();
        }
        item
    };
    let report = streams(spins).examine("spins");
    assert_eq!((broken(&report), schedule(&report, "W3")), (vec!["W3"], "[]"));
}

#[test]
fn t2_a_source_that_is_polled_after_its_end_is_found() {
    let again = |up: &mut Upstream, cx: &mut Context<'_>, _: &mut Memory| match up.poll_next_unpin(cx) {
        Poll::Ready(None) => up.poll_next_unpin(cx),
        item => item,
    };
    assert_eq!(broken(&streams(again).examine("again")), ["T2"]);
}

/// A sink over a sink that is wrong in one way.
struct Wrong {
    down: Downstream,
    how: &'static str,
    held: Option<u32>,
}

impl Sink<u32> for Wrong {
    type Error = Failed;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        match self.how {
            "pushes" => Poll::Ready(Ok(())),
            _ => self.down.poll_ready_unpin(cx),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, item: u32) -> Result<(), Failed> {
        match self.how {
            "swaps" if self.held.is_none() && item % 4 == 1 => self.held = Some(item),
            "swallows errors" => drop(self.down.start_send_unpin(item)),
            _ => self.down.start_send_unpin(item)?,
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        match self.how {
            "flushes nothing" => Poll::Ready(Ok(())),
            _ => self.down.poll_flush_unpin(cx),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        if self.how == "closes twice" {
            let _ = self.down.poll_close_unpin(cx);
        }
        self.down.poll_close_unpin(cx)
    }
}

#[test]
fn d1_i1_i3_t1_t3_sinks_that_are_wrong_are_found() {
    let faults = [
        ("pushes", "D1"),
        ("swaps", "I1"),
        ("flushes nothing", "I3"),
        ("closes twice", "T1"),
        ("swallows errors", "T3"),
    ];
    for (how, law) in faults {
        let report = Sinks::of(move |down| Wrong { down, how, held: None }).examine(how);
        assert!(broken(&report).contains(&law), "{report}");
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// There is always room.
    Unbounded,
    /// A send that is dropped when it was its turn tells nobody.
    Forgetful,
    /// Whoever comes finds room before those who wait.
    Barging,
    /// The receiver goes without a word.
    Silent,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<u32>,
    waiting: VecDeque<(u32, Waker)>,
    receiver: Option<Waker>,
    senders_gone: bool,
    receiver_gone: bool,
}

impl Queue {
    fn wake_next(&self) {
        if let Some((_, waker)) = self.waiting.front().filter(|_| self.items.len() < 2) {
            waker.wake_by_ref();
        }
    }
}

type Shared = Rc<RefCell<Queue>>;

struct Sender(Shared);
struct Receiver(Shared, Fault);

struct Sending {
    queue: Shared,
    item: u32,
    fault: Fault,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.borrow_mut().senders_gone = true;
        self.0.borrow_mut().receiver.take().into_iter().for_each(Waker::wake);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.borrow_mut().receiver_gone = true;
        if self.1 != Fault::Silent {
            self.0.borrow_mut().waiting.drain(..).for_each(|(_, waker)| waker.wake());
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut queue = self.queue.borrow_mut();
        queue.waiting.retain(|(item, _)| *item != self.item);
        if self.fault != Fault::Forgetful {
            queue.wake_next();
        }
    }
}

impl Future for Sending {
    type Output = Result<(), ()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        let mut queue = self.queue.borrow_mut();
        if queue.receiver_gone {
            return Poll::Ready(Err(()));
        }
        let is_first = queue.waiting.front().is_none_or(|(item, _)| *item == self.item) || self.fault == Fault::Barging;
        if self.fault == Fault::Unbounded || (queue.items.len() < 2 && is_first) {
            queue.waiting.retain(|(item, _)| *item != self.item);
            queue.items.push_back(self.item);
            queue.receiver.take().into_iter().for_each(Waker::wake);
            queue.wake_next();
            return Poll::Ready(Ok(()));
        }
        match queue.waiting.iter_mut().find(|(item, _)| *item == self.item) {
            Some((_, waker)) => *waker = cx.waker().clone(),
            None => queue.waiting.push_back((self.item, cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Stream for Receiver {
    type Item = u32;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        let mut queue = self.0.borrow_mut();
        match queue.items.pop_front() {
            Some(item) => {
                queue.wake_next();
                Poll::Ready(Some(item))
            }
            None if queue.senders_gone => Poll::Ready(None),
            None => {
                queue.receiver = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A channel of two that is wrong in one way.
fn queue(fault: Fault) -> Channel {
    let queue = Shared::default();
    let sender = Sender(Rc::clone(&queue));
    let send = move |item| Box::pin(Sending { queue: Rc::clone(&sender.0), item, fault }) as _;
    Channel::new(send, Receiver(queue, fault))
}

#[test]
fn d3_x1_o4_w4_channels_that_are_wrong_are_found() {
    let faults = [(Fault::Unbounded, "D3"), (Fault::Forgetful, "X1"), (Fault::Barging, "O4"), (Fault::Silent, "W4")];
    for (fault, law) in faults {
        let report = Channels::of(move || queue(fault)).bound(2).examine(law);
        assert_eq!(broken(&report), [law], "{report}");
    }
}

/// A service over a service that is wrong in one way.
#[derive(Clone)]
struct Bad {
    inner: One,
    how: &'static str,
    last: Rc<RefCell<Option<u32>>>,
}

impl Service<u32> for Bad {
    type Response = u32;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Failed>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        match self.how {
            "never asks" => Poll::Ready(Ok(())),
            _ => self.inner.poll_ready(cx),
        }
    }

    fn call(&mut self, request: u32) -> Self::Future {
        let (answer, last) = (self.inner.call(request), Rc::clone(&self.last));
        match self.how {
            "mixes answers up" => async move {
                let answer = answer.await?;
                Ok(last.borrow_mut().replace(answer).unwrap_or(answer))
            }
            .boxed_local(),
            "fails for another" => async move {
                let answer = answer.await;
                let poisoned = last.borrow().is_some();
                answer.is_err().then(|| last.replace(Some(0)));
                if poisoned { Err(Failed) } else { answer }
            }
            .boxed_local(),
            "never answers" => async move {
                let _ = answer.await;
                std::future::pending().await
            }
            .boxed_local(),
            "keeps slots" => {
                std::mem::forget(answer);
                std::future::ready(Ok(request + 1_000)).boxed_local()
            }
            _ => answer.boxed_local(),
        }
    }
}

#[test]
fn d1_s1_s2_s8_t9_services_that_are_wrong_are_found() {
    let faults = [
        ("never asks", "D1"),
        ("mixes answers up", "S1"),
        ("fails for another", "S8"),
        ("never answers", "T9"),
        ("keeps slots", "S2"),
    ];
    for (how, law) in faults {
        let report =
            Services::of(move |inner: Inner| Bad { inner: inner.one(), how, last: Rc::default() }).examine(how);
        assert!(broken(&report).contains(&law), "{how}: {report}");
    }
}

#[test]
fn s4_more_calls_than_the_limit_are_found() {
    let report = Services::of(|inner: Inner| inner.one()).inner_limit(3).limit(2).examine("no limit");
    assert_eq!((broken(&report), schedule(&report, "S4")), (vec!["S4"], "[Call, Call, Call]"));
}

#[test]
fn b2_k1_a_batcher_without_a_timer_is_found() {
    let linger = Duration::from_millis(20);
    let report = Streams::batches(|up, most| up.chunks(most)).linger(linger).examine("no timer");
    assert_eq!(broken(&report), ["B2", "K1"]);
}

#[test]
fn d6_a_panic_is_found() {
    let report = Streams::of(|up| up.map(|item| if item == 4 { panic!("I do not like 4") } else { item }));
    let report = report.examine("panics");
    assert!(report.to_string().contains("it panics: I do not like 4"), "{report}");
    assert_eq!(schedule(&report, "D6"), "[Push(4)]");
}
