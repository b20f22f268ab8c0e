//! Sink adapters.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_sink::Sink;
use proptest::prelude::*;

use crate::downstream::{Downstream, Drain};
use crate::examine::{Subject, Wrongs, advance, examine, settle};
use crate::law::{D1, D3, D4, I1, I3, Law, T1, T2, T3, T6, W1, W3};
use crate::report::Report;
use crate::waking::Watch;

type Subjected = Pin<Box<dyn Sink<u32, Error = ()>>>;

/// A sink over a sink: made anew for each schedule from a [`Downstream`].
pub struct Sinks {
    make: Box<dyn Fn(Downstream) -> Subjected>,
    bound: Option<usize>,
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").finish_non_exhaustive()
    }
}

impl Sinks {
    /// A sink that passes on what it is given, in order.
    pub fn of<S: Sink<u32> + 'static>(make: impl Fn(Downstream) -> S + 'static) -> Self {
        let make = move |downstream| Box::pin(Mute(Box::pin(make(downstream)))) as Subjected;
        Self { make: Box::new(make), bound: None }
    }

    /// It holds at most so many items.
    #[must_use]
    pub const fn bound(mut self, items: usize) -> Self {
        self.bound = Some(items);
        self
    }

    /// Leads it through the schedules.
    pub fn examine(&self, name: &str) -> Report {
        examine(name, self)
    }
}

/// Whatever its errors are.
struct Mute<S>(Pin<Box<S>>);

impl<S: Sink<u32>> Sink<u32> for Mute<S> {
    type Error = ();

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.0.as_mut().poll_ready(cx).map_err(drop)
    }

    fn start_send(mut self: Pin<&mut Self>, item: u32) -> Result<(), ()> {
        self.0.as_mut().start_send(item).map_err(drop)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.0.as_mut().poll_flush(cx).map_err(drop)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.0.as_mut().poll_close(cx).map_err(drop)
    }
}

/// What may happen.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The next item is sent, if the sink is ready.
    Send,
    /// With another waker.
    SendAnew,
    Flush,
    FlushAnew,
    /// The inner sink takes so many items more.
    Room(usize),
    /// The inner sink holds up flushes.
    HoldUp,
    LetGo,
    /// The inner sink fails at the item of this place, counted from now.
    FailIn(usize),
}

struct Run<'a> {
    wrongs: &'a Wrongs,
    drain: Drain,
    sink: Subjected,
    ready: Watch,
    flush: Watch,
    sent: u32,
    errors: usize,
}

impl Run<'_> {
    fn send(&mut self, anew: bool) {
        let sink = &mut self.sink;
        self.flush.forget();
        match self.ready.poll(anew, self.wrongs, |cx| sink.as_mut().poll_ready(cx)) {
            Poll::Pending => return,
            Poll::Ready(Err(())) => return self.errors += 1,
            Poll::Ready(Ok(())) => {}
        }
        match self.sink.as_mut().start_send(self.sent + 1) {
            Ok(()) => self.sent += 1,
            Err(()) => {
                let failures = self.drain.look(|state| state.failures);
                self.wrongs.unless(failures > 0, D4, || "start_send fails after Ready".into());
                self.errors += 1;
            }
        }
    }

    /// After an item was sent, a flush that was pending is another one.
    fn poll_flush(&mut self, anew: bool) -> Poll<()> {
        let sink = &mut self.sink;
        match self.flush.poll(anew, self.wrongs, |cx| sink.as_mut().poll_flush(cx)) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(())) => self.errors += 1,
            Poll::Ready(Ok(())) => {
                let flushed = self.drain.look(|state| state.flushed);
                let sent = self.sent;
                self.wrongs.unless(self.is_unsound() || flushed == sent as usize, I3, || {
                    format!("it is flushed, but of {sent} items the inner sink flushed {flushed}")
                });
            }
        }
        Poll::Ready(())
    }

    /// Once the inner sink has failed, only its error counts.
    fn is_unsound(&self) -> bool {
        self.errors > 0 || self.drain.look(|state| state.failures > 0)
    }

    /// With an inner sink that does nothing more for now.
    async fn rest(&mut self) {
        self.drain.hold_up(true);
        let (sink, watch) = (&mut self.sink, &mut self.flush);
        if let Poll::Ready(Err(())) = watch.rest(self.wrongs, |cx| sink.as_mut().poll_flush(cx)).await {
            self.errors += 1;
        }
    }

    async fn close(&mut self) {
        let mut watch = Watch::new(W1);
        self.drain.open();
        for _ in 0..1_000 {
            let sink = &mut self.sink;
            match watch.rest(self.wrongs, |cx| sink.as_mut().poll_close(cx)).await {
                Poll::Ready(Ok(())) => return,
                Poll::Ready(Err(())) => {
                    self.errors += 1;
                    return;
                }
                Poll::Pending => {}
            }
            advance(Duration::from_millis(50)).await;
        }
        self.wrongs.add(T1, "the inner sink takes everything, and the close does not end");
    }
}

impl Subject for Sinks {
    type Step = Step;

    fn laws(&self) -> Vec<Law> {
        let mut laws = vec![D1, D4, I1, I3, T1, T2, T3, T6, W1, W3];
        laws.extend(self.bound.map(|_| D3));
        laws
    }

    fn schedules(&self) -> BoxedStrategy<Vec<Step>> {
        let step = prop_oneof![
            8 => Just(Step::Send),
            2 => Just(Step::SendAnew),
            2 => Just(Step::Flush),
            1 => Just(Step::FlushAnew),
            3 => (1..4_usize).prop_map(Step::Room),
            1 => Just(Step::HoldUp),
            1 => Just(Step::LetGo),
            1 => (0..3_usize).prop_map(Step::FailIn),
        ];
        prop::collection::vec(step, 0..30).boxed()
    }

    async fn run(&self, schedule: &[Step], wrongs: &Wrongs) {
        let (drain, downstream) = Drain::new();
        let (ready, flush) = (Watch::new(W1), Watch::new(W1));
        let mut run = Run { wrongs, drain, sink: (self.make)(downstream), ready, flush, sent: 0, errors: 0 };
        for step in schedule {
            match *step {
                _ if run.errors > 0 => break,
                Step::Send => run.send(false),
                Step::SendAnew => run.send(true),
                Step::Flush => drop(run.poll_flush(false)),
                Step::FlushAnew => drop(run.poll_flush(true)),
                Step::Room(items) => run.drain.room(items),
                Step::HoldUp => run.drain.hold_up(true),
                Step::LetGo => run.drain.hold_up(false),
                Step::FailIn(items) => run.drain.fail_in(items),
            }
            settle().await;
            if let Some(bound) = self.bound {
                let held =
                    (run.sent as usize).saturating_sub(run.drain.look(|state| state.items.len() + state.failures));
                wrongs.unless(held <= bound, D3, || format!("it holds {held} items, and may hold {bound}"));
            }
        }
        if run.errors == 0 {
            run.rest().await;
        }
        if run.errors == 0 {
            run.close().await;
        }
        let failures = run.drain.look(|state| state.failures);
        run.drain.look(|state| {
            let unready = state.unready_sends;
            wrongs.unless(unready == 0, D1, || format!("{unready} items without readiness"));
            wrongs.unless(state.after_close == 0, T2, || "the inner sink is used after its close".into());
            if failures > 0 {
                return;
            }
            let (sent, items) = (run.sent, &state.items);
            wrongs.unless(items.iter().copied().eq(1..=sent), I1, || format!("1 to {sent} went in, {items:?} out"));
            wrongs.unless(state.closes == 1, T1, || format!("the inner sink is closed {} times", state.closes));
        });
        wrongs.unless(run.errors == failures, T3, || {
            format!("the inner sink failed {failures} times, and {} errors came", run.errors)
        });
        drop(run.sink);
        settle().await;
        wrongs.unless(!run.drain.is_held(), T6, || "its inner sink is alive".into());
    }
}
