//! What the tests share: a waker that counts, streams that do as they are told, and a clock to push.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::{Sink, Stream};
use tokio::runtime::{Builder, Runtime};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once.
pub(crate) fn poll<St: Stream + Unpin>(stream: &mut St, waker: &Waker) -> Poll<Option<St::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<St: Stream + Unpin>(stream: &mut St) -> Poll<Option<St::Item>> {
    poll(stream, Waker::noop())
}

/// Polls until the stream ends, as often as it takes.
pub(crate) fn exhaust<St: Stream + Unpin>(stream: &mut St) -> Vec<St::Item> {
    let mut items = Vec::new();
    for _ in 0..100_000 {
        match poll_once(stream) {
            Poll::Ready(Some(item)) => items.push(item),
            Poll::Ready(None) => return items,
            Poll::Pending => {}
        }
    }
    panic!("it does not end");
}

/// What an upstream does when it is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<T> {
    Item(T),
    /// Nothing; the waker is kept.
    Pause,
    /// Nothing; the waker is woken at once, for no reason.
    Restless,
    End,
    Panic,
}

/// An upstream that follows a script, and pauses for ever after its last line.
#[derive(Debug)]
pub(crate) struct Script<T> {
    steps: VecDeque<Step<T>>,
    polls: Arc<AtomicUsize>,
    pulled: Arc<AtomicUsize>,
    waker: Option<Waker>,
}

impl<T> Unpin for Script<T> {}

impl<T> Script<T> {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step<T>>) -> Self {
        Self { steps: steps.into_iter().collect(), polls: Arc::default(), pulled: Arc::default(), waker: None }
    }

    /// An upstream that has all its items ready and then ends.
    pub(crate) fn ready(items: impl IntoIterator<Item = T>) -> Self {
        Self::new(items.into_iter().map(Step::Item).chain([Step::End]))
    }

    /// Counts the polls.
    pub(crate) fn polls(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.polls)
    }

    /// Counts the items given out.
    pub(crate) fn pulled(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.pulled)
    }

    /// Adds a line, and wakes whoever waits for it.
    pub(crate) fn tell(&mut self, step: Step<T>) {
        self.steps.push_back(step);
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl<T> Stream for Script<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        match self.steps.pop_front() {
            Some(Step::Item(item)) => {
                self.pulled.fetch_add(1, Ordering::SeqCst);
                Poll::Ready(Some(item))
            }
            Some(Step::End) => Poll::Ready(None),
            Some(Step::Panic) => panic!("as the script says"),
            Some(Step::Restless) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Pause) | None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// True as long as the script is one that ends.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let until_end = self.steps.iter().take_while(|step| !matches!(step, Step::End | Step::Panic));
        let items = until_end.filter(|step| matches!(step, Step::Item(_))).count();
        (items, Some(items))
    }
}

/// The stream, over an upstream that has 3000 items ready and counts those `pulled`, gives up its turn after 1024 at a time.
pub(crate) fn assert_pulls_1024_of_3000<St: Stream + Unpin>(stream: &mut St, pulled: &AtomicUsize) {
    let (wakes, waker) = Wakes::new();
    for n in 1..3 {
        assert!(poll(stream, &waker).is_pending());
        assert_eq!((read(pulled), wakes.count()), (n * 1024, n));
    }
    assert!(poll(stream, &waker).is_pending());
    assert_eq!((read(pulled), wakes.count()), (3000, 2), "the upstream itself pauses");
}

pub(crate) fn read(count: &AtomicUsize) -> usize {
    count.load(Ordering::SeqCst)
}

/// A runtime whose clock stands still until it is pushed, or everything waits for it.
pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Moves tokio's paused clock on, from within a poll.
pub(crate) fn push_clock(by: Duration) {
    let _ = pin!(tokio::time::advance(by)).poll(&mut Context::from_waker(Waker::noop()));
}

/// Never pauses and never ends; every item takes its time, by tokio's paused clock.
#[derive(Debug)]
pub(crate) struct Busy {
    pub(crate) pace: Duration,
    pub(crate) next: u64,
}

impl Busy {
    pub(crate) const fn at(pace: Duration) -> Self {
        Self { pace, next: 0 }
    }
}

impl Stream for Busy {
    /// The number of the item and when it was ready.
    type Item = (u64, tokio::time::Instant);

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        push_clock(self.pace);
        self.next += 1;
        Poll::Ready(Some((self.next - 1, tokio::time::Instant::now())))
    }
}

/// Says something about its length that is not so.
#[derive(Debug)]
pub(crate) struct Liar<St>(pub(crate) St, pub(crate) (usize, Option<usize>));

impl<St: Stream + Unpin> Stream for Liar<St> {
    type Item = St::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

/// Both a stream, of nothing, and a sink that counts.
#[derive(Debug, Default)]
pub(crate) struct Duplex {
    pub(crate) sent: usize,
    pub(crate) flushed: usize,
    pub(crate) closed: usize,
}

impl Stream for Duplex {
    type Item = Result<u8, u8>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

impl Sink<u8> for Duplex {
    type Error = u8;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        Poll::Ready(Ok(()))
    }

    /// Refuses zero.
    fn start_send(mut self: Pin<&mut Self>, item: u8) -> Result<(), u8> {
        self.sent += 1;
        if item == 0 { Err(item) } else { Ok(()) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        self.flushed += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        self.closed += 1;
        Poll::Ready(Ok(()))
    }
}
