//! How an engine is run: by its worker or, for as long as a call takes that is alone, by the caller.

use std::task::{Context, Poll, Waker};

use tower_service::Service;

use super::{Engine, Step, TURNS};
use crate::batch::answers::Answers;

/// An engine of whatever service.
pub(in crate::batch) trait Run {
    /// Works until there is nothing to do, and sees to it that this task is woken then. Ready when there never will be.
    fn work(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Works for one call, as its task.
    fn lead(&mut self, cx: &mut Context<'_>) -> Led;

    /// Sends the calls that are in the inbox, in one go, as one of those who made them. Whom to wake is added to `wakers`. False
    /// if the worker has to take over.
    fn lead_crowd(&mut self, cx: &mut Context<'_>, wakers: &mut Vec<Waker>) -> bool;
}

/// How far a caller got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Led {
    /// Its batch is with the inner service, which will wake the task.
    InFlight,
    /// Nothing is left to do.
    Done,
    /// The worker has to take over.
    Stuck,
}

impl<S, Req, Resp> Run for Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    fn work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            let is_idle = match self.step(cx) {
                Step::Again => continue,
                Step::Yield => break,
                Step::Over => return Poll::Ready(()),
                Step::Idle => true,
                Step::Busy => false,
            };
            if self.rest(is_idle, cx) {
                self.flights.register(cx);
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn lead(&mut self, cx: &mut Context<'_>) -> Led {
        for _ in 0..TURNS {
            let is_done = match self.step(cx) {
                Step::Again if self.is_for_a_door && self.news.queued.0 > 0 => false,
                Step::Again => self.flights.len() == 0 && !self.asked && !self.batches.has_waiting(),
                Step::Idle | Step::Busy if self.flights.len() > 0 => {
                    self.flights.register(cx);
                    return Led::InFlight;
                }
                Step::Idle => true,
                Step::Busy | Step::Yield | Step::Over => break,
            };
            if is_done {
                self.flights.unregister();
                return Led::Done;
            }
        }
        Led::Stuck
    }

    fn lead_crowd(&mut self, cx: &mut Context<'_>, wakers: &mut Vec<Waker>) -> bool {
        if self.sorted {
            return false;
        }
        self.is_for_a_door = true;
        let led = self.lead(cx);
        self.is_for_a_door = false;
        wakers.append(&mut self.wakers);
        led == Led::Done
    }
}
