//! Stream adapters.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use proptest::prelude::*;

use crate::examine::{Subject, Wrongs, advance, examine, settle};
use crate::law::{B1, B2, D2, D5, I1, I2, K1, Law, O2, T1, T2, T6, W1, W3};
use crate::report::Report;
use crate::upstream::{Source, Upstream};
use crate::waking::Watch;

type Subjected = Pin<Box<dyn Stream<Item = Vec<u32>>>>;

/// A stream over a stream: made anew for each schedule from an [`Upstream`].
///
/// It is taken to lose nothing, and to yield what comes in its order.
pub struct Streams {
    make: Box<dyn Fn(Upstream, usize) -> Subjected>,
    batches: bool,
    linger: Option<Duration>,
    ahead: Option<u64>,
    loses: bool,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

impl Streams {
    /// A stream that yields items.
    pub fn of<S: Stream<Item = u32> + 'static>(make: impl Fn(Upstream) -> S + 'static) -> Self {
        let make = move |upstream, _| Box::pin(Each(Box::pin(make(upstream)))) as Subjected;
        Self { make: Box::new(make), batches: false, linger: None, ahead: None, loses: false }
    }

    /// A stream that yields batches, of at most as many items as it is told.
    pub fn batches<S: Stream<Item = Vec<u32>> + 'static>(make: impl Fn(Upstream, usize) -> S + 'static) -> Self {
        let make = move |upstream, most| Box::pin(make(upstream, most)) as Subjected;
        Self { make: Box::new(make), batches: true, linger: None, ahead: None, loses: false }
    }

    /// A batch leaves so long after its first item.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// At most so many items are pulled before they are yielded.
    #[must_use]
    pub const fn ahead(mut self, items: u64) -> Self {
        self.ahead = Some(items);
        self
    }

    /// It may drop items.
    #[must_use]
    pub const fn loses(mut self) -> Self {
        self.loses = true;
        self
    }

    /// Leads it through the schedules.
    pub fn examine(&self, name: &str) -> Report {
        examine(name, self)
    }
}

struct Each<S>(Pin<Box<S>>);

impl<S: Stream<Item = u32>> Stream for Each<S> {
    type Item = Vec<u32>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<u32>>> {
        self.0.as_mut().poll_next(cx).map(|item| item.map(|item| vec![item]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// Most items of a batch, where that is asked.
const MOST: usize = 3;

/// What may happen.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// So many items come.
    Push(u32),
    End,
    Poll,
    /// With another waker.
    PollAnew,
    /// The source is Pending so often, and wakes at once.
    Stutter(usize),
    /// The source wakes for nothing.
    Wake,
    Advance(u64),
}

/// One stream on its way.
struct Run<'a> {
    kit: &'a Streams,
    most: usize,
    wrongs: &'a Wrongs,
    source: Source,
    stream: Subjected,
    watch: Watch,
    yielded: Vec<u32>,
    answers: usize,
    /// Answers given, and the hint, at each step.
    hints: Vec<(usize, usize, Option<usize>)>,
    over: bool,
}

impl<'a> Run<'a> {
    fn new(kit: &'a Streams, wrongs: &'a Wrongs, most: usize) -> Self {
        let (source, upstream) = Source::new();
        let (stream, watch) = ((kit.make)(upstream, most), Watch::new(W1));
        let (yielded, hints) = (Vec::new(), Vec::new());
        Self { kit, most, wrongs, source, stream, watch, yielded, answers: 0, hints, over: false }
    }

    fn hint(&mut self) {
        let (low, high) = self.stream.size_hint();
        self.hints.push((self.answers, low, high));
    }

    fn poll(&mut self, anew: bool) -> Poll<()> {
        let stream = &mut self.stream;
        let answer = self.watch.poll(anew, self.wrongs, |cx| stream.as_mut().poll_next(cx));
        self.take(answer)
    }

    fn take(&mut self, answer: Poll<Option<Vec<u32>>>) -> Poll<()> {
        let Poll::Ready(answer) = answer else { return Poll::Pending };
        let wrongs = self.wrongs;
        match answer {
            Some(batch) => {
                wrongs.unless(!self.over, T2, || format!("{batch:?} after None"));
                if self.kit.batches {
                    let fits = (1..=self.most).contains(&batch.len());
                    wrongs.unless(fits, B1, || format!("a batch of {}, which may have {}", batch.len(), self.most));
                }
                self.yielded.extend(batch);
                self.answers += 1;
            }
            None => self.over = true,
        }
        Poll::Ready(())
    }

    fn look(&mut self) {
        if let Some(ahead) = self.kit.ahead.filter(|_| !self.kit.loses) {
            let held = self.source.pulled() - self.yielded.len() as u64;
            self.wrongs.unless(held <= ahead, D2, || format!("{held} pulled ahead, but {ahead} are allowed"));
        }
        if !self.over {
            self.hint();
        }
    }

    /// Until it waits for its source.
    async fn rest(&mut self) {
        for _ in 0..1_000 {
            let (stream, watch) = (&mut self.stream, &mut self.watch);
            if self.over {
                break;
            }
            let answer = watch.rest(self.wrongs, |cx| stream.as_mut().poll_next(cx)).await;
            if self.take(answer).is_pending() {
                break;
            }
            self.look();
        }
    }

    /// Until it ends, or does no more.
    async fn finish(&mut self) {
        self.source.end();
        for _ in 0..10_000 {
            if self.over {
                break;
            }
            let (stream, watch) = (&mut self.stream, &mut self.watch);
            let answer = watch.rest(self.wrongs, |cx| stream.as_mut().poll_next(cx)).await;
            if self.take(answer).is_pending() {
                advance(Duration::from_millis(50)).await;
                if !self.watch.is_due() {
                    break;
                }
            }
            self.hint();
        }
    }

    fn judge(&self) {
        let (wrongs, yielded) = (self.wrongs, &self.yielded);
        wrongs.unless(self.over, T1, || "the source has ended, and the stream does not".into());
        wrongs.unless(!self.source.was_polled_after_end(), T2, || "the source is polled after its end".into());
        if self.kit.loses {
            let is_sequence = yielded.windows(2).all(|pair| pair[0] < pair[1]);
            wrongs.unless(is_sequence && yielded.iter().all(|&item| item <= self.source.last()), O2, || {
                format!("{yielded:?}")
            });
        } else {
            let given = self.source.last();
            wrongs
                .unless(yielded.iter().copied().eq(1..=given), I1, || format!("1 to {given} went in, {yielded:?} out"));
        }
        for &(before, low, high) in self.hints.iter().filter(|_| self.over) {
            let left = self.answers - before;
            wrongs.unless(low <= left && high.is_none_or(|high| left <= high), I2, || {
                format!("size_hint was ({low}, {high:?}), and {left} came")
            });
        }
    }
}

impl Subject for Streams {
    type Step = Step;

    fn laws(&self) -> Vec<Law> {
        let mut laws = vec![D5, I2, T1, T2, T6, W1, W3, if self.loses { O2 } else { I1 }];
        laws.extend(self.batches.then_some(B1));
        laws.extend(self.ahead.filter(|_| !self.loses).map(|_| D2));
        laws.extend(self.linger.iter().flat_map(|_| [B2, K1]));
        laws
    }

    fn schedules(&self) -> BoxedStrategy<Vec<Step>> {
        let step = prop_oneof![
            4 => (1..6_u32).prop_map(Step::Push),
            5 => Just(Step::Poll),
            3 => Just(Step::PollAnew),
            1 => (1..4_usize).prop_map(Step::Stutter),
            1 => Just(Step::Wake),
            2 => (1..30_u64).prop_map(Step::Advance),
            1 => Just(Step::End),
        ];
        prop::collection::vec(step, 0..30).boxed()
    }

    async fn run(&self, schedule: &[Step], wrongs: &Wrongs) {
        let mut run = Run::new(self, wrongs, MOST);
        for step in schedule {
            match *step {
                Step::Push(items) => run.source.push(items),
                Step::End => run.source.end(),
                Step::Poll | Step::PollAnew if run.over => {}
                Step::Poll => drop(run.poll(false)),
                Step::PollAnew => drop(run.poll(true)),
                Step::Stutter(polls) => run.source.stutter(polls),
                Step::Wake => run.source.wake(),
                Step::Advance(ms) => advance(Duration::from_millis(ms)).await,
            }
            settle().await;
            run.look();
        }
        run.rest().await;
        run.finish().await;
        run.judge();
        let Run { stream, source, .. } = run;
        drop(stream);
        settle().await;
        wrongs.unless(!source.is_held(), T6, || "its source is alive".into());
    }

    async fn probes(&self, wrongs: &Wrongs) {
        let mut run = Run::new(self, wrongs, MOST);
        run.source.flow(Duration::ZERO);
        let before = run.source.pulled();
        for _ in 0..3 {
            let _ = run.poll(false);
        }
        let pulled = run.source.pulled() - before;
        wrongs.unless(pulled <= 10_000, D5, || format!("{pulled} items in three polls of an endless source"));
        let Some(linger) = self.linger else { return };
        self.probe_idle(linger, wrongs).await;
        self.probe_busy(linger, wrongs).await;
    }
}

impl Streams {
    /// One item, and nothing after it: it leaves when the clock says so.
    async fn probe_idle(&self, linger: Duration, wrongs: &Wrongs) {
        let mut run = Run::new(self, wrongs, MOST);
        run.source.push(1);
        let early = run.poll(false);
        advance(linger + Duration::from_millis(1)).await;
        let woken = run.watch.is_due();
        let late = run.poll(false);
        wrongs.unless(early.is_pending() && woken && late.is_ready(), K1, || {
            format!("one item, then {linger:?} of tokio's clock: woken {woken}, Ready {}", late.is_ready())
        });
    }

    /// A source that is never Pending, and each of whose items takes a hundredth of the linger.
    async fn probe_busy(&self, linger: Duration, wrongs: &Wrongs) {
        let mut run = Run::new(self, wrongs, 10_000);
        run.source.flow(linger / 100);
        let began = tokio::time::Instant::now();
        for _ in 0..10_000 {
            if run.poll(false).is_ready() {
                break;
            }
            settle().await;
        }
        let took = began.elapsed();
        wrongs.unless(took <= 2 * linger, B2, || format!("a source that never pauses: the first batch after {took:?}"));
    }
}
