//! The batches in flight: each in a task of its own, so that a panic costs only its own batch.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::task::{Context, Poll, ready};

use tokio::task::{Id, JoinSet};

use crate::attempt::Flight;

pub(crate) struct Flights<T, O> {
    tasks: JoinSet<O>,
    flights: HashMap<Id, Flight<T>>,
}

impl<T, O: 'static> Flights<T, O> {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), flights: HashMap::new() }
    }

    pub(crate) fn depart(&mut self, flight: Flight<T>, flush: impl Future<Output = O> + Send + 'static)
    where
        O: Send,
    {
        let id = self.tasks.spawn(flush).id();
        self.flights.insert(id, flight);
    }

    /// Stops all that are in flight.
    pub(crate) fn abort(&mut self) {
        self.tasks.abort_all();
    }

    /// The next flight that has landed, with its answer; no answer if it panicked. Pending also when none is in flight.
    pub(crate) fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<(Flight<T>, Option<O>)> {
        loop {
            let (id, answer) = match self.tasks.poll_join_next_with_id(cx) {
                Poll::Ready(Some(Ok((id, answer)))) => (id, Some(answer)),
                Poll::Ready(Some(Err(error))) => (error.id(), None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            };
            if let Some(flight) = self.flights.remove(&id) {
                return Poll::Ready((flight, answer));
            }
        }
    }
}

impl<T, O: 'static> Flights<T, O> {
    /// Ready once no task is left. What they answer is not heard any more.
    pub(crate) fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(_gone) = ready!(self.tasks.poll_join_next(cx)) {}
        Poll::Ready(())
    }
}

impl<T, O> Flights<T, O> {
    /// How many tasks have not ended, as far as is known.
    pub(crate) fn running(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.flights.len()
    }

    /// Takes out what is remembered of the flights, in no order.
    pub(crate) fn forget(&mut self) -> impl Iterator<Item = Flight<T>> {
        self.flights.drain().map(|(_, flight)| flight)
    }
}

impl<T, O> fmt::Debug for Flights<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("in_flight", &self.flights.len()).finish()
    }
}
