//! A batcher polled by hand, over an inner service that does as it is told.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use backpressure_tower::{Batch, BatchError, BatchFuture, BatchLayer, BatchLayerBuilder, BatchWorker};
use tower::Service;

pub(crate) type Error = &'static str;
pub(crate) type Builder = BatchLayerBuilder<u32, u32>;

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::<Count>::default();
    (Arc::clone(&count), count.into())
}

/// What the inner service does with a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    /// It answers ten times the request.
    Answer,
    Fail(Error),
    PanicInCall,
    PanicInFuture,
    /// It gives so many answers.
    Give(usize),
    /// It waits for [`Target::let_go`].
    Hold,
}

#[derive(Default)]
struct Record {
    batches: Vec<Vec<u32>>,
    script: HashMap<usize, Act>,
    usual: Option<Act>,
    held: HashMap<usize, (Act, Option<Waker>)>,
    dropped: Vec<usize>,
    readiness: Readiness,
    ready: bool,
    waker: Option<Waker>,
    polled_ready: usize,
    in_flight: usize,
    peak: usize,
}

#[derive(Default, Clone, Copy, PartialEq)]
pub(crate) enum Readiness {
    #[default]
    Ready,
    Pending,
    Fails(Error),
    Panics,
}

/// The test's end of the inner service, and the service itself.
#[derive(Clone, Default)]
pub(crate) struct Target {
    record: Arc<Mutex<Record>>,
}

impl Target {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn always(self, act: Act) -> Self {
        self.record().usual = Some(act);
        self
    }

    /// What it does with the batch of that number, counted from 0.
    pub(crate) fn on(self, batch: usize, act: Act) -> Self {
        self.record().script.insert(batch, act);
        self
    }

    pub(crate) fn batches(&self) -> Vec<Vec<u32>> {
        self.record().batches.clone()
    }

    /// Batches whose futures were dropped before they were ready.
    pub(crate) fn dropped(&self) -> Vec<usize> {
        self.record().dropped.clone()
    }

    pub(crate) fn peak(&self) -> usize {
        self.record().peak
    }

    pub(crate) fn asked_for_readiness(&self) -> usize {
        self.record().polled_ready
    }

    /// A held batch goes on like this.
    pub(crate) fn let_go(&self, batch: usize, act: Act) {
        let waker = self.record().held.get_mut(&batch).and_then(|held| {
            held.0 = act;
            held.1.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn become_(&self, readiness: Readiness) {
        let mut record = self.record();
        record.readiness = readiness;
        let waker = record.waker.take();
        drop(record);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Service<Vec<u32>> for Target {
    type Response = Vec<u32>;
    type Error = Error;
    type Future = Flight;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut record = self.record();
        record.polled_ready += 1;
        match record.readiness {
            Readiness::Ready => {
                record.ready = true;
                Poll::Ready(Ok(()))
            }
            Readiness::Pending => {
                record.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Readiness::Fails(error) => Poll::Ready(Err(error)),
            Readiness::Panics => panic!("not ready, and in a bad mood"),
        }
    }

    fn call(&mut self, batch: Vec<u32>) -> Flight {
        let mut record = self.record();
        assert!(std::mem::take(&mut record.ready), "called once per readiness");
        assert!(!batch.is_empty(), "never empty");
        let number = record.batches.len();
        record.batches.push(batch.clone());
        let act = record.script.get(&number).copied().or(record.usual).unwrap_or(Act::Answer);
        if act == Act::PanicInCall {
            drop(record);
            panic!("as told");
        }
        record.held.insert(number, (act, None));
        record.in_flight += 1;
        record.peak = record.peak.max(record.in_flight);
        drop(record);
        Flight { target: self.clone(), number, batch, done: false }
    }
}

pub(crate) struct Flight {
    target: Target,
    number: usize,
    batch: Vec<u32>,
    done: bool,
}

impl Future for Flight {
    type Output = Result<Vec<u32>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let act = {
            let mut record = self.target.record();
            let held = record.held.get_mut(&self.number).expect("polled after it was ready");
            held.1 = Some(cx.waker().clone());
            held.0
        };
        if act == Act::Hold {
            return Poll::Pending;
        }
        self.done = true;
        let times_ten = |request: &u32| request * 10;
        Poll::Ready(match act {
            Act::Fail(error) => Err(error),
            Act::PanicInFuture => panic!("as told"),
            Act::Give(answers) => Ok(self.batch.iter().cycle().map(times_ten).take(answers).collect()),
            Act::Answer | Act::Hold | Act::PanicInCall => Ok(self.batch.iter().map(times_ten).collect()),
        })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut record = self.target.record();
        record.in_flight -= 1;
        record.held.remove(&self.number);
        if !self.done {
            record.dropped.push(self.number);
        }
    }
}

/// A future polled by hand.
pub(crate) struct Task<F> {
    pub(crate) future: Pin<Box<F>>,
    pub(crate) wakes: Arc<Count>,
    waker: Waker,
    seen: usize,
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        let (wakes, waker) = counting();
        Self { future: Box::pin(future), wakes, waker, seen: 0 }
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        self.seen = self.wakes.get();
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }

    /// The output, which has to be there.
    pub(crate) fn output(&mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("still pending"),
        }
    }

    pub(crate) fn is_pending(&mut self) -> bool {
        self.poll().is_pending()
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.get() > self.seen
    }
}

/// A batcher over a [`Target`], its worker polled by hand.
pub(crate) struct Rig<S: Service<Vec<u32>> = Target> {
    pub(crate) batch: Option<Batch<u32, u32, S::Error>>,
    pub(crate) worker: Option<Task<BatchWorker<S, u32, u32>>>,
    fresh: bool,
}

impl<S> Rig<S>
where
    S: Service<Vec<u32>, Response = Vec<u32>>,
{
    pub(crate) fn over(inner: S, build: impl FnOnce(Builder) -> Builder) -> Self {
        let layer = build(BatchLayer::builder()).build().expect("a sound layer");
        let (batch, worker) = Batch::pair(inner, &layer);
        Self { batch: Some(batch), worker: Some(Task::new(worker)), fresh: true }
    }

    pub(crate) fn handle(&self) -> Batch<u32, u32, S::Error> {
        self.batch.clone().expect("a handle")
    }

    /// Makes a call that has been polled once.
    pub(crate) fn call(&mut self, request: u32) -> Task<BatchFuture<u32, u32, S::Error>> {
        let mut call = self.unpolled(request);
        assert!(call.is_pending());
        call
    }

    /// Makes a call.
    pub(crate) fn unpolled(&mut self, request: u32) -> Task<BatchFuture<u32, u32, S::Error>> {
        let batch = self.batch.as_mut().expect("a handle");
        assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready(), "there is room");
        Task::new(batch.call(request))
    }

    pub(crate) fn calls(
        &mut self,
        requests: impl IntoIterator<Item = u32>,
    ) -> Vec<Task<BatchFuture<u32, u32, S::Error>>> {
        requests.into_iter().map(|request| self.call(request)).collect()
    }

    /// Polls the worker whenever it was woken, until it rests. Tells whether it has ended.
    pub(crate) fn work(&mut self) -> bool {
        for _ in 0..1_000 {
            let Some(worker) = &mut self.worker else { return true };
            if !std::mem::take(&mut self.fresh) && !worker.is_woken() {
                return false;
            }
            if worker.poll().is_ready() {
                self.worker = None;
            }
        }
        panic!("the worker never rests");
    }
}

/// A batcher whose callers lead: it has answered one call, so it knows that there is only one.
pub(crate) fn led(target: &Target, build: impl FnOnce(Builder) -> Builder) -> Rig {
    let layer = build(BatchLayer::builder()).build().expect("a sound layer");
    let (batch, worker) = Batch::pair(target.clone(), &layer);
    let worker = Task::new(worker.releasing_readiness().led_by_callers());
    let mut rig = Rig { batch: Some(batch), worker: Some(worker), fresh: true };
    let mut first = rig.call(0);
    rig.work();
    assert!(first.output().is_ok());
    rig
}

pub(crate) fn rig(target: &Target, build: impl FnOnce(Builder) -> Builder) -> Rig {
    Rig::over(target.clone(), build)
}

/// Answers, each of which has to be there.
pub(crate) fn outputs<E>(calls: &mut [Task<BatchFuture<u32, u32, E>>]) -> Vec<Result<u32, BatchError<E>>> {
    calls.iter_mut().map(Task::output).collect()
}

/// Polls a future until it is ready, as long as it wakes itself.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Whether the errors are these, by what they are called.
#[track_caller]
pub(crate) fn assert_failed<E: std::fmt::Debug>(answers: Vec<Result<u32, BatchError<E>>>, error: &str) {
    assert!(!answers.is_empty());
    for answer in answers {
        assert_eq!(format!("{:?}", answer.expect_err("a failure")), error);
    }
}
