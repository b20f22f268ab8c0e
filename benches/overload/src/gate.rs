//! The way in: the limiter of `backpressure-tower` under the virtual clock, or an open door.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure_core::limit::{Level, Outcome};
use backpressure_tower::{Entry, Limiter, Permit, QueuedCall};

use crate::clock::{Nanos, nanos};

/// One attempt at a call.
pub type Call = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Admitted,
    Refused,
    /// It waits in the short queue: [`look`](Gate::look) again when it is [woken](Gate::woken), and at this time.
    Queued {
        until: Option<Nanos>,
    },
}

#[derive(Debug)]
pub struct Gate {
    limiter: Option<Limiter>,
    in_flight: usize,
    permits: HashMap<Call, Permit>,
    tickets: HashMap<Call, QueuedCall>,
    woken: Arc<Mutex<Vec<Call>>>,
}

/// Notes which call was woken.
#[derive(Debug)]
struct Alarm {
    call: Call,
    woken: Arc<Mutex<Vec<Call>>>,
}

impl Gate {
    /// Without a limiter everybody is admitted.
    pub fn new(limiter: Option<Limiter>) -> Self {
        Self { limiter, in_flight: 0, permits: HashMap::new(), tickets: HashMap::new(), woken: Arc::default() }
    }

    /// 0 where there is none.
    pub fn limit(&self) -> usize {
        self.limiter.as_ref().map_or(0, Limiter::limit)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn enter(&mut self, call: Call) -> Answer {
        self.enter_within(call, None, Level::default(), None)
    }

    /// The call says what class it is of, maybe, and how important it is, and brings along what is left of its time.
    pub fn enter_within(
        &mut self,
        call: Call,
        class: Option<usize>,
        level: Level,
        patience: Option<Duration>,
    ) -> Answer {
        let Some(limiter) = &self.limiter else {
            self.in_flight += 1;
            return Answer::Admitted;
        };
        let entry = match class {
            None => limiter.acquire(level, patience),
            Some(class) => limiter.acquire_of(&class, level, patience),
        };
        match entry {
            Ok(Entry::Admitted(permit)) => self.admit(call, permit),
            Ok(Entry::Queued(ticket)) => {
                self.tickets.insert(call, ticket);
                self.look(call)
            }
            Err(_) => Answer::Refused,
        }
    }

    /// What has become of a call that waits.
    pub fn look(&mut self, call: Call) -> Answer {
        let Some(ticket) = self.tickets.get_mut(&call) else { return Answer::Refused };
        let alarm = Waker::from(Arc::new(Alarm { call, woken: Arc::clone(&self.woken) }));
        let polled = ticket.poll_admitted(&Context::from_waker(&alarm));
        match polled {
            Poll::Pending => Answer::Queued { until: ticket.deadline().map(nanos) },
            Poll::Ready(verdict) => {
                self.tickets.remove(&call);
                verdict.map_or(Answer::Refused, |permit| self.admit(call, permit))
            }
        }
    }

    pub fn is_waiting(&self, call: Call) -> bool {
        self.tickets.contains_key(&call)
    }

    /// The calls that were woken since this was last asked.
    pub fn woken(&mut self) -> Vec<Call> {
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn leave(&mut self, call: Call) {
        self.leave_with(call, Outcome::Success);
    }

    pub fn leave_with(&mut self, call: Call, outcome: Outcome) {
        self.in_flight -= 1;
        if let Some(permit) = self.permits.remove(&call) {
            permit.finish(outcome);
        }
    }

    fn admit(&mut self, call: Call, mut permit: Permit) -> Answer {
        permit.began();
        self.permits.insert(call, permit);
        self.in_flight += 1;
        Answer::Admitted
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(self.call);
    }
}
