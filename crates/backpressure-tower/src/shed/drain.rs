//! The drain of a shed layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::Drained;
use backpressure_rt::Timer;
use tokio::time::Instant;

use super::gate::Gate;

/// Thirty years: as good as never, and not beyond the end of time.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Shuts a layer down, in the order that loses no call: made by [`ShedHandle::drain`](super::ShedHandle::drain).
///
/// ```text
///  not ready     grace     shedding        idle, or the deadline
///  ├──────────────────────┼───────────────┤
///  probes say no, calls   calls are shed,  report
///  are still admitted     others finish
/// ```
///
/// # Cancel safety
///
/// What has begun stays: a layer whose drain is dropped is not ready, and once it sheds it goes on shedding. Drain it again
/// to wait for it again.
#[must_use = "futures do nothing unless polled"]
pub struct Drain {
    gate: Arc<Gate>,
    began: Instant,
    grace: Duration,
    deadline: Duration,
    settled: u64,
    shed: u64,
    is_shedding: bool,
    timer: Timer,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShedDrainReport {
    /// Calls that were in flight, or came during the grace, and are done. One whose answer is a stream is done when that has
    /// begun.
    pub finished: u64,
    /// Calls still in flight when the deadline passed.
    pub abandoned: usize,
    /// Streams still open when the deadline passed.
    pub streams: usize,
    /// Calls that were shed meanwhile.
    pub shed: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl Drained for ShedDrainReport {
    fn is_complete(&self) -> bool {
        self.abandoned == 0 && self.streams == 0
    }
}

impl fmt::Display for ShedDrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { finished, abandoned, streams, shed, .. } = self;
        write!(f, "{finished} finished while draining, {abandoned} abandoned, {streams} streams cut off, {shed} shed")
    }
}

impl Drain {
    pub(super) fn new(gate: Arc<Gate>, deadline: Duration) -> Self {
        let (settled, shed) = (gate.limiter.settled(), gate.counts().total());
        let began = Instant::now();
        Self { gate, began, grace: Duration::ZERO, deadline, settled, shed, is_shedding: false, timer: Timer::new() }
    }

    /// For so long calls are still admitted: time for load balancers to see that the service is not ready. Default: none.
    ///
    /// It is part of the time until the deadline.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    fn report(&self, abandoned: usize, streams: usize) -> ShedDrainReport {
        ShedDrainReport {
            finished: self.gate.limiter.settled().saturating_sub(self.settled),
            abandoned,
            streams,
            shed: self.gate.counts().total().saturating_sub(self.shed),
            elapsed: self.began.elapsed(),
        }
    }

    /// Ready once so much time has passed since the beginning. The clock decides; the timer only wakes.
    fn poll_passed(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if self.began.elapsed() >= time {
            return Poll::Ready(());
        }
        self.timer.poll((self.began + time.min(FAR)).into_std(), cx)
    }
}

impl Future for Drain {
    type Output = ShedDrainReport;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShedDrainReport> {
        let this = self.get_mut();
        if !this.is_shedding {
            std::task::ready!(this.poll_passed(this.grace.min(this.deadline), cx));
            this.is_shedding = true;
            this.timer.disarm();
            this.gate.drain();
        }
        if this.gate.limiter.poll_idle(cx).is_ready() {
            return Poll::Ready(this.report(0, 0));
        }
        std::task::ready!(this.poll_passed(this.deadline, cx));
        // In this order: a call that becomes a stream in between is in both rather than in neither.
        let in_flight = this.gate.limiter.in_flight();
        Poll::Ready(this.report(in_flight, this.gate.limiter.streams()))
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("grace", &self.grace).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
