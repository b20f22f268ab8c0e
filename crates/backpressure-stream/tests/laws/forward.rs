//! Forwarding into a sink of other errors.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use backpressure_stream::{BackpressureStreamExt, ForwardError};
use futures_util::Sink;

use crate::support::{Script, Step, Wakes};

#[derive(Debug, Default)]
struct Log {
    sent: Vec<u32>,
    flushes: usize,
    closes: usize,
    /// Answers Pending to this many polls for readiness, and of flushes.
    busy: usize,
    fails: bool,
}

#[derive(Debug, Clone, Default)]
struct Recording(Rc<RefCell<Log>>);

impl Recording {
    fn poll(&self) -> Poll<Result<(), u8>> {
        let mut log = self.0.borrow_mut();
        if log.fails {
            return Poll::Ready(Err(7));
        }
        match log.busy {
            0 => Poll::Ready(Ok(())),
            _ => {
                log.busy -= 1;
                Poll::Pending
            }
        }
    }
}

impl Sink<u32> for Recording {
    type Error = u8;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        self.poll()
    }

    fn start_send(self: Pin<&mut Self>, item: u32) -> Result<(), u8> {
        self.0.borrow_mut().sent.push(item);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        let polled = self.poll();
        self.0.borrow_mut().flushes += usize::from(polled.is_ready());
        polled
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        self.0.borrow_mut().closes += 1;
        Poll::Ready(Ok(()))
    }
}

fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn t1_the_end_closes_the_sink_once() {
    let sink = Recording::default();
    let stream = Script::new([Step::Item(Ok::<_, &str>(1)), Step::Pause, Step::Item(Ok(2)), Step::End]);
    let mut forward = stream.forward_into(sink.clone());
    assert!(once(&mut forward).is_pending());
    assert_eq!((sink.0.borrow().sent.as_slice(), sink.0.borrow().flushes), (&[1][..], 1), "flushed while it pauses");
    assert_eq!(once(&mut forward), Poll::Ready(Ok(())));
    assert_eq!((sink.0.borrow().sent.as_slice(), sink.0.borrow().closes), (&[1, 2][..], 1));
}

#[test]
fn t3_an_error_of_the_stream_comes_after_what_was_sent_is_flushed_and_it_can_go_on() {
    let sink = Recording::default();
    let mut forward = Script::new([Ok(1), Err("broken"), Ok(2)].map(Step::Item).into_iter().chain([Step::End]))
        .forward_into(sink.clone());
    sink.0.borrow_mut().busy = 2;
    assert!(once(&mut forward).is_pending(), "not ready");
    assert!(once(&mut forward).is_pending(), "not ready");
    sink.0.borrow_mut().busy = 0;
    assert_eq!(once(&mut forward), Poll::Ready(Err(ForwardError::Upstream("broken"))));
    assert_eq!((sink.0.borrow().sent.as_slice(), sink.0.borrow().flushes), (&[1][..], 1));
    assert_eq!(once(&mut forward), Poll::Ready(Ok(())));
    assert_eq!(sink.0.borrow().sent, [1, 2]);
}

#[test]
fn x2_what_is_on_its_way_can_be_taken_out() {
    let sink = Recording::default();
    sink.0.borrow_mut().fails = true;
    let mut forward = Script::new([1, 2].map(Ok::<_, &str>).map(Step::Item)).forward_into(sink.clone());
    assert_eq!(once(&mut forward), Poll::Ready(Err(ForwardError::Sink(7))));
    let (_, _, held) = forward.into_parts();
    assert_eq!(held, Some(1));
    assert!(sink.0.borrow().sent.is_empty());
}

#[test]
fn d5_one_poll_sends_a_bounded_number_and_then_wakes_itself() {
    let sink = Recording::default();
    let (wakes, waker) = Wakes::new();
    let mut forward =
        Script::new((0..1_000).map(Ok::<_, &str>).map(Step::Item).chain([Step::End])).forward_into(sink.clone());
    assert!(Pin::new(&mut forward).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!((1..1_000).contains(&sink.0.borrow().sent.len()));
    assert_eq!(wakes.count(), 1);
    while once(&mut forward).is_pending() {}
    assert_eq!(sink.0.borrow().sent, (0..1_000).collect::<Vec<_>>());
}
