//! A flush target that does as it is told, and keeps a record of what it was asked.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_controller::{FlushOutcome, Verdict};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::Service;

pub(crate) type Error = &'static str;

/// What the target does with a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Act<T> {
    Deliver,
    /// It fails as a whole.
    Fail(Error),
    /// It answers that these failed.
    Partial(Vec<(T, Error)>),
    /// It answers that these failed, and what is to become of them.
    Judged(Vec<(T, Error, Verdict)>),
    PanicInCall,
    PanicInFuture,
    Never,
    /// It waits for [`Target::answer`].
    Hold,
    After(Duration, Box<Act<T>>),
}

/// A batch that the target was given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call<T> {
    pub(crate) items: Vec<T>,
    /// When, counted from the making of the target.
    pub(crate) at: Duration,
}

enum Readiness {
    Ready,
    /// Ready for as many calls, then pending.
    For(usize),
    Fails(Error),
    Panics,
}

type Script<T> = Box<dyn FnMut(usize, &[T]) -> Act<T> + Send>;

/// The test's end of the target. [`service`](Self::service) is the controller's.
#[derive(Clone)]
pub(crate) struct Target<T> {
    record: Arc<Mutex<Record<T>>>,
}

struct Record<T> {
    made: Instant,
    script: Script<T>,
    readiness: Readiness,
    waker: Option<Waker>,
    polls: usize,
    answered_ready: usize,
    called_unready: bool,
    calls: Vec<Call<T>>,
    held: HashMap<usize, oneshot::Sender<Act<T>>>,
    delivered: Vec<T>,
    in_flight: usize,
    peak: usize,
}

impl<T: Clone + PartialEq + Send + 'static> Target<T> {
    /// A target that asks `script` what to do with each batch, by the number of the call.
    pub(crate) fn new(script: impl FnMut(usize, &[T]) -> Act<T> + Send + 'static) -> Self {
        let record = Record {
            made: Instant::now(),
            script: Box::new(script),
            readiness: Readiness::Ready,
            waker: None,
            polls: 0,
            answered_ready: 0,
            called_unready: false,
            calls: Vec::new(),
            held: HashMap::new(),
            delivered: Vec::new(),
            in_flight: 0,
            peak: 0,
        };
        Self { record: Arc::new(Mutex::new(record)) }
    }

    /// A target that does the same with every batch.
    pub(crate) fn always(act: Act<T>) -> Self {
        Self::new(move |_, _| act.clone())
    }

    /// A target that does this with its first batches, and delivers the others.
    pub(crate) fn first(acts: impl IntoIterator<Item = Act<T>, IntoIter: Send + 'static>) -> Self {
        let mut acts = acts.into_iter();
        Self::new(move |_, _| acts.next().unwrap_or(Act::Deliver))
    }

    pub(crate) fn service(&self) -> Flush<T> {
        Flush { target: self.clone(), ready: false }
    }

    fn record(&self) -> MutexGuard<'_, Record<T>> {
        let record = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(!record.called_unready, "the target was called without being ready");
        record
    }

    fn become_(&self, readiness: Readiness) {
        let mut record = self.record();
        record.readiness = readiness;
        if let Some(waker) = record.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn ready(&self) {
        self.become_(Readiness::Ready);
    }

    /// Ready for this many more calls, then pending.
    pub(crate) fn ready_for(&self, calls: usize) {
        self.become_(Readiness::For(calls));
    }

    pub(crate) fn fail_readiness(&self, error: Error) {
        self.become_(Readiness::Fails(error));
    }

    pub(crate) fn panic_in_readiness(&self) {
        self.become_(Readiness::Panics);
    }

    /// Tells a held call what to do.
    pub(crate) fn answer(&self, call: usize, act: Act<T>) {
        let held = self.record().held.remove(&call).expect("the call is held");
        assert!(held.send(act).is_ok(), "the call is still in flight");
    }

    pub(crate) fn calls(&self) -> Vec<Call<T>> {
        self.record().calls.clone()
    }

    /// The items of each call.
    pub(crate) fn batches(&self) -> Vec<Vec<T>> {
        self.record().calls.iter().map(|call| call.items.clone()).collect()
    }

    /// When each call was made.
    pub(crate) fn times(&self) -> Vec<Duration> {
        self.record().calls.iter().map(|call| call.at).collect()
    }

    /// Every item delivered, in the order of the answers.
    pub(crate) fn delivered(&self) -> Vec<T> {
        self.record().delivered.clone()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.record().in_flight
    }

    /// The most calls that were ever in flight at once.
    pub(crate) fn peak(&self) -> usize {
        self.record().peak
    }

    /// How often `poll_ready` was called, and how often it answered that it is.
    pub(crate) fn readiness(&self) -> (usize, usize) {
        let record = self.record();
        (record.polls, record.answered_ready)
    }

    async fn perform(self, _in_flight: InFlight<T>, items: Vec<T>, mut act: Act<T>, told: Told<T>) -> Answer<T> {
        let mut told = Some(told);
        loop {
            act = match act {
                Act::Deliver => return self.deliver(items, FlushOutcome::delivered()),
                Act::Partial(failed) => return self.deliver(items, FlushOutcome::partial(failed)),
                Act::Judged(failed) => {
                    let mut outcome = FlushOutcome::delivered();
                    failed.into_iter().for_each(|(item, error, verdict)| outcome.fail(item, error, verdict));
                    return self.deliver(items, outcome);
                }
                Act::Fail(error) => return Err(error),
                Act::PanicInCall | Act::PanicInFuture => panic!("as told"),
                Act::Never => std::future::pending().await,
                Act::Hold => match told.take() {
                    Some(told) => told.await.unwrap_or(Act::Never),
                    None => Act::Never,
                },
                Act::After(delay, act) => {
                    tokio::time::sleep(delay).await; // tidy: paused clock
                    *act
                }
            }
        }
    }

    fn deliver(&self, items: Vec<T>, outcome: FlushOutcome<T, Error>) -> Answer<T> {
        let delivered = items.into_iter().filter(|item| !outcome.failed.iter().any(|failed| failed.item == *item));
        self.record().delivered.extend(delivered);
        Ok(outcome)
    }
}

type Answer<T> = Result<FlushOutcome<T, Error>, Error>;
type Told<T> = oneshot::Receiver<Act<T>>;

/// The controller's end of a target.
pub(crate) struct Flush<T> {
    target: Target<T>,
    ready: bool,
}

impl<T: Clone> Clone for Flush<T> {
    /// Not ready, even if this one is.
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), ready: false }
    }
}

impl<T: Clone + PartialEq + Send + 'static> Service<Vec<T>> for Flush<T> {
    type Response = FlushOutcome<T, Error>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Answer<T>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut record = self.target.record();
        record.polls += 1;
        match &mut record.readiness {
            _ if self.ready => {}
            Readiness::Ready => {}
            Readiness::For(0) => {
                record.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Readiness::For(calls) => *calls -= 1,
            Readiness::Fails(error) => return Poll::Ready(Err(error)),
            Readiness::Panics => panic!("as told"),
        }
        record.answered_ready += 1;
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, items: Vec<T>) -> Self::Future {
        let mut record = self.target.record();
        record.called_unready |= !std::mem::take(&mut self.ready);
        let number = record.calls.len();
        let at = record.made.elapsed();
        record.calls.push(Call { items: items.clone(), at });
        let act = (record.script)(number, &items);
        if act == Act::PanicInCall {
            panic!("as told");
        }
        let (tell, told) = oneshot::channel();
        record.held.insert(number, tell);
        record.in_flight += 1;
        record.peak = record.peak.max(record.in_flight);
        drop(record);
        let in_flight = InFlight { record: self.target.record.clone() };
        Box::pin(self.target.clone().perform(in_flight, items, act, told))
    }
}

/// Counted as long as it lives.
struct InFlight<T> {
    record: Arc<Mutex<Record<T>>>,
}

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner).in_flight -= 1;
    }
}
