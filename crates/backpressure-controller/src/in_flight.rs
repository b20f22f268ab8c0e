//! The batches in flight. Each is a task, so a panic costs only its own batch.

use std::collections::HashMap;
use std::fmt;
use std::task::{Context, Poll, ready};

use tokio::task::{Id, JoinSet};

use crate::answer::Answer;
use crate::attempt::Dispatched;
use crate::careful::discard;
use crate::home::Spawns;

pub(crate) struct InFlight<T, E> {
    tasks: JoinSet<Answer<T, E>>,
    in_flight: HashMap<Id, Dispatched<T>>,
}

impl<T: 'static, E: 'static> InFlight<T, E> {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), in_flight: HashMap::new() }
    }

    pub(crate) fn dispatch<H: Spawns<T, E, F>, F>(&mut self, dispatched: Dispatched<T>, flush: F) {
        let id = H::spawn(&mut self.tasks, flush);
        self.in_flight.insert(id, dispatched);
    }

    /// Stops all that are in flight.
    pub(crate) fn abort(&mut self) {
        self.tasks.abort_all();
    }

    /// The next batch that was answered, with the answer. Pending also when none is in flight.
    pub(crate) fn poll_completed(&mut self, cx: &mut Context<'_>) -> Poll<(Dispatched<T>, Answer<T, E>)> {
        loop {
            let (id, answer) = match self.tasks.poll_join_next_with_id(cx) {
                Poll::Ready(Some(Ok(completed))) => completed,
                Poll::Ready(Some(Err(error))) => {
                    let id = error.id();
                    discard([error]);
                    (id, Answer::PANICKED)
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            };
            if let Some(dispatched) = self.in_flight.remove(&id) {
                return Poll::Ready((dispatched, answer));
            }
        }
    }
}

impl<T: 'static, E: 'static> InFlight<T, E> {
    /// Ready once no task is left. What they answer is not heard any more.
    pub(crate) fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(gone) = ready!(self.tasks.poll_join_next(cx)) {
            discard([gone]);
        }
        Poll::Ready(())
    }
}

impl<T, E> InFlight<T, E> {
    /// How many tasks have not ended, as far as is known.
    pub(crate) fn running(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Takes out what is remembered of the batches in flight, in no order.
    pub(crate) fn forget(&mut self) -> impl Iterator<Item = Dispatched<T>> {
        self.in_flight.drain().map(|(_, dispatched)| dispatched)
    }
}

impl<T, E> fmt::Debug for InFlight<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("in_flight", &self.in_flight.len()).finish()
    }
}
