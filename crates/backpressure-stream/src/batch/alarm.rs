//! One timer: armed when something waits for it, dropped when nothing does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Sleep, sleep_until};

/// Wakes at a deadline. It only wakes: whether the deadline has passed is for the clock to say.
#[derive(Debug)]
pub(crate) struct Alarm {
    sleep: Pin<Box<Option<Sleep>>>,
    /// What the timer is set to, while it is armed.
    deadline: Option<Instant>,
    /// Whom it will wake, once it has promised to.
    waker: Option<Waker>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(None), deadline: None, waker: None }
    }

    /// Whether the timer has fired since it was armed. Costs no clock read.
    #[inline]
    pub(super) fn has_rung(&self) -> bool {
        self.deadline.is_some() && self.sleep.as_ref().as_pin_ref().is_some_and(|sleep| sleep.is_elapsed())
    }

    /// Takes notice of a timer that has fired: it is no longer armed.
    pub(super) fn acknowledge(&mut self) {
        self.deadline = None;
        self.waker = None;
    }

    /// Whether this task has been, or will be, woken by it.
    #[inline]
    pub(super) fn will_wake(&self, cx: &Context<'_>) -> bool {
        self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
    }

    /// Sees to it that the task is woken at `deadline` or before. Ready if that is now.
    ///
    /// The timer is touched only when it is new, late, or has someone else to wake.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.deadline.is_none_or(|armed| deadline < armed) {
            self.arm(deadline);
        } else if self.will_wake(cx) {
            return Poll::Pending;
        }
        // A timer polled without budget wakes the task at once and forgets about the deadline.
        let promises = has_budget_remaining();
        let Some(sleep) = self.sleep.as_mut().as_pin_mut() else { return Poll::Pending };
        let rung = sleep.poll(cx);
        self.waker = (promises && rung.is_pending()).then(|| cx.waker().clone());
        if rung.is_ready() {
            // Polled when it had rung already, it has kept the waker.
            self.retire();
        }
        rung
    }

    /// Sets the timer to `deadline`. One that has somebody to wake is not reset but made anew: a reset to a deadline that has
    /// passed would wake the task it is polled by.
    fn arm(&mut self, deadline: Instant) {
        match self.sleep.as_mut().as_pin_mut() {
            Some(quiet) if self.deadline.is_none() => quiet.reset(deadline.into()),
            _ => self.sleep.set(Some(sleep_until(deadline.into()))),
        }
        self.deadline = Some(deadline);
        self.waker = None;
    }

    /// Sees to it that nobody is woken any more.
    ///
    /// The timer stays where it is in the runtime, for the next batch: to put it off is far cheaper than to take it out and
    /// put another one in.
    #[inline]
    pub(crate) fn disarm(&mut self) {
        if self.deadline.take().is_some() {
            self.waker = None;
            self.hush();
        }
    }

    fn hush(&mut self) {
        let heard = has_budget_remaining();
        if let Some(sleep) = self.sleep.as_mut().as_pin_mut().filter(|_| heard) {
            let _ = sleep.poll(&mut Context::from_waker(Waker::noop()));
        } else {
            self.sleep.set(None);
        }
    }

    /// Takes the timer out of the runtime.
    pub(crate) fn retire(&mut self) {
        self.deadline = None;
        self.waker = None;
        self.sleep.set(None);
    }
}
