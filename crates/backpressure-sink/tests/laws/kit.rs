//! Hand-driven polls, counting wakers, and an inner sink that obeys a script and tells on whoever breaks the rules.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use backpressure_core::{BackpressureConfig, BackpressureConfigBuilder, Gauge};
use futures_sink::Sink;

/// A task that counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Task(AtomicUsize);

impl Task {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// Wakes since the last look.
    pub(crate) fn wakes(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The polls of a sink, by hand.
pub(crate) trait Poke<T>: Sink<T> + Unpin {
    fn ready(&mut self, task: &Arc<Task>) -> Poll<Result<(), Self::Error>> {
        Pin::new(self).poll_ready(&mut Context::from_waker(&task.waker()))
    }

    fn start(&mut self, item: T) -> Result<(), Self::Error> {
        Pin::new(self).start_send(item)
    }

    fn flush_once(&mut self, task: &Arc<Task>) -> Poll<Result<(), Self::Error>> {
        Pin::new(self).poll_flush(&mut Context::from_waker(&task.waker()))
    }

    fn close_once(&mut self, task: &Arc<Task>) -> Poll<Result<(), Self::Error>> {
        Pin::new(self).poll_close(&mut Context::from_waker(&task.waker()))
    }

    /// Sends if ready.
    fn offer(&mut self, item: T, task: &Arc<Task>) -> Poll<Result<(), Self::Error>> {
        self.ready(task).map(|ready| ready.and_then(|()| self.start(item)))
    }
}

impl<Si: Sink<T> + Unpin + ?Sized, T> Poke<T> for Si {}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, task: &Arc<Task>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&task.waker()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Ready,
    Send,
    Flush,
    Close,
}

pub(crate) const STAGES: [Stage; 4] = [Stage::Ready, Stage::Send, Stage::Flush, Stage::Close];

/// What the probe fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken(pub Stage);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken in {:?}", self.0)
    }
}

impl std::error::Error for Broken {}

/// An inner sink that takes as many items as it is told to, one per readiness, and fails or panics when told to.
#[derive(Debug)]
pub(crate) struct Probe<T>(Arc<Mutex<Script<T>>>);

#[derive(Debug)]
pub(crate) struct Script<T> {
    /// Items taken.
    pub(crate) got: Vec<T>,
    /// Items it is still ready to take.
    pub(crate) room: usize,
    /// Whether a flush and a close succeed.
    pub(crate) flushes: bool,
    /// The stage fails, or panics, at this attempt that would succeed (from 0), once.
    pub(crate) fails: Option<(Stage, usize)>,
    pub(crate) panics: Option<(Stage, usize)>,
    /// Never wakes anybody.
    pub(crate) silent: bool,
    /// Attempts of each stage that did not end pending.
    pub(crate) attempts: [usize; 4],
    /// Polls, of whatever stage and outcome.
    pub(crate) polls: usize,
    /// What was done to it against the rules.
    pub(crate) offences: Vec<&'static str>,
    readied: bool,
    waker: Option<Waker>,
}

impl<T> Probe<T> {
    /// Takes everything at once.
    pub(crate) fn ready() -> Self {
        Self::with_room(usize::MAX)
    }

    pub(crate) fn with_room(room: usize) -> Self {
        let script = Script {
            got: Vec::new(),
            room,
            flushes: true,
            fails: None,
            panics: None,
            silent: false,
            attempts: [0; 4],
            polls: 0,
            offences: Vec::new(),
            readied: false,
            waker: None,
        };
        Self(Arc::new(Mutex::new(script)))
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script<T>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes this many more, and says so.
    pub(crate) fn make_room(&self, room: usize) {
        let mut script = self.script();
        script.room = script.room.saturating_add(room);
        let waker = if script.silent { None } else { script.waker.take() };
        drop(script);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn attempts(&self, stage: Stage) -> usize {
        self.script().attempts[stage as usize]
    }

    pub(crate) fn polls(&self) -> usize {
        self.script().polls
    }

    /// What it took. A copy: nothing stays locked.
    pub(crate) fn got(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.script().got.clone()
    }

    #[track_caller]
    pub(crate) fn assert_lawful(&self) {
        assert_eq!(self.script().offences, [""; 0]);
    }

    fn attempt(&self, stage: Stage) -> Result<MutexGuard<'_, Script<T>>, Broken> {
        let mut script = self.script();
        let attempt = script.attempts[stage as usize];
        script.attempts[stage as usize] += 1;
        let is_planned = |plan: &mut Option<(Stage, usize)>| plan.take_if(|plan| *plan == (stage, attempt)).is_some();
        if is_planned(&mut script.panics) {
            drop(script);
            panic!("told to");
        }
        if is_planned(&mut script.fails) { Err(Broken(stage)) } else { Ok(script) }
    }

    fn polled(&self, is_ready: impl Fn(&Script<T>) -> bool, cx: &Context<'_>) -> Poll<()> {
        let mut script = self.script();
        script.polls += 1;
        if script.attempts[Stage::Close as usize] > 0 {
            script.offences.push("polled after it was closed");
        }
        if is_ready(&script) {
            return Poll::Ready(());
        }
        script.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Clone for Probe<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Sink<T> for Probe<T> {
    type Error = Broken;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.polled(|script| script.room > 0, cx).is_pending() {
            return Poll::Pending;
        }
        self.attempt(Stage::Ready)?.readied = true;
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Broken> {
        let mut script = self.script();
        if !std::mem::take(&mut script.readied) {
            script.offences.push("sent to without a readiness of its own");
        }
        script.room = script.room.saturating_sub(1);
        drop(script);
        self.attempt(Stage::Send)?.got.push(item);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.polled(|script| script.flushes, cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.attempt(Stage::Flush).map(drop))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.polled(|script| script.flushes, cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.attempt(Stage::Close).map(drop))
    }
}

pub(crate) fn config(build: impl FnOnce(BackpressureConfigBuilder) -> BackpressureConfigBuilder) -> BackpressureConfig {
    build(BackpressureConfig::builder()).build().expect("a configuration that works")
}

#[track_caller]
pub(crate) fn assert_balanced(gauge: &Gauge) {
    let counts = gauge.snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
}
