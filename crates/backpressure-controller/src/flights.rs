//! The batches in flight: each in a task of its own, so that a panic costs only its own batch.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};

use tokio::task::{Id, JoinSet};

use crate::answer::Answer;
use crate::attempt::Flight;
use crate::careful::{discard, guarded};

pub(crate) struct Flights<T, E> {
    tasks: JoinSet<Answer<T, E>>,
    flights: HashMap<Id, Flight<T>>,
}

impl<T: 'static, E: 'static> Flights<T, E> {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), flights: HashMap::new() }
    }

    pub(crate) fn depart<F>(&mut self, flight: Flight<T>, flush: F)
    where
        T: Send,
        E: Send,
        F: Future<Output: Into<Answer<T, E>>> + Send + 'static,
    {
        let id = self.tasks.spawn(run(flush)).id();
        self.flights.insert(id, flight);
    }

    /// Stops all that are in flight.
    pub(crate) fn abort(&mut self) {
        self.tasks.abort_all();
    }

    /// The next flight that has landed, with its answer. Pending also when none is in flight.
    pub(crate) fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<(Flight<T>, Answer<T, E>)> {
        loop {
            let (id, answer) = match self.tasks.poll_join_next_with_id(cx) {
                Poll::Ready(Some(Ok(landed))) => landed,
                Poll::Ready(Some(Err(error))) => {
                    let id = error.id();
                    discard([error]);
                    (id, Answer::PANICKED)
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            };
            if let Some(flight) = self.flights.remove(&id) {
                return Poll::Ready((flight, answer));
            }
        }
    }
}

impl<T: 'static, E: 'static> Flights<T, E> {
    /// Ready once no task is left. What they answer is not heard any more.
    pub(crate) fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(gone) = ready!(self.tasks.poll_join_next(cx)) {
            discard([gone]);
        }
        Poll::Ready(())
    }
}

impl<T, E> Flights<T, E> {
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

/// Runs a flush to its answer. If it has answered, a panic in the drop of what is left of it takes nothing back.
async fn run<T, E, F>(flush: F) -> Answer<T, E>
where
    F: Future<Output: Into<Answer<T, E>>>,
{
    let mut flush = pin!(Some(flush));
    let answer = poll_fn(|cx| match flush.as_mut().as_pin_mut() {
        Some(running) => guarded(|| running.poll(cx).map(Into::into)).unwrap_or(Poll::Ready(Answer::PANICKED)),
        None => Poll::Ready(Answer::PANICKED),
    })
    .await;
    guarded(|| flush.set(None));
    answer
}

impl<T, E> fmt::Debug for Flights<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("in_flight", &self.flights.len()).finish()
    }
}
