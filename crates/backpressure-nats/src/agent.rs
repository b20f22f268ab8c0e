//! The one task behind a source: it drives the decisions, and decides nothing itself.

use std::sync::Arc;
use std::time::Instant;

use backpressure_core::DropReason;
use tokio::select;
use tokio::time::sleep_until;

use crate::clock::now;
use crate::delivery::Delivery;
use crate::engine::{Disconnected, Engine, Event};
use crate::pull::{Pull, PullCounts, Reception};
use crate::settlement::Settlement;
use crate::shared::Shared;
use crate::signal::Signal;

/// Events, and answers, between two looks at the clock.
const TURN: usize = 1_024;

pub(crate) struct Agent<E: Engine> {
    engine: E,
    pull: Pull<E::Key>,
    shared: Arc<Shared<E::Item>>,
    signal: Signal,
    arrived: Vec<Delivery<E::Item>>,
}

impl<E: Engine> Agent<E> {
    pub(crate) const fn new(engine: E, pull: Pull<E::Key>, shared: Arc<Shared<E::Item>>, signal: Signal) -> Self {
        Self { engine, pull, shared, signal, arrived: Vec::new() }
    }

    /// Runs until nothing will arrive and everything is settled, and the server has been told.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let (mut events, mut answers) = (Vec::new(), Vec::new());
        loop {
            let now = now();
            self.turn(now, &mut events, &mut answers);
            if self.send().await.is_err() {
                self.shared.inbox.close();
                break;
            }
            self.report();
            if self.pull.is_over() {
                self.engine.flush().await;
                break;
            }
            let until = self.pull.timeout();
            select! {
                () = shared.outbox.changed() => {}
                () = self.engine.receive(&mut events, TURN) => {}
                () = sleep_until(until.unwrap_or(now).into()), if until.is_some() => {} // tidy: paused clock
            }
        }
    }

    /// Tells the decisions what happened.
    fn turn(&mut self, now: Instant, events: &mut Vec<Event<E::Item, E::Key>>, answers: &mut Vec<(u64, Settlement)>) {
        self.shared.outbox.take(answers);
        for (id, settlement) in answers.drain(..) {
            self.pull.settle(now, id, settlement);
        }
        let mut closes = false;
        for event in events.drain(..) {
            closes |= self.happened(now, event);
        }
        if !self.arrived.is_empty() {
            self.shared.outbox.put(self.arrived.len());
            self.shared.inbox.put(&mut self.arrived);
        }
        if closes {
            self.shared.inbox.close();
        }
        if self.shared.outbox.is_stopping() {
            self.pull.stop();
            for delivery in self.shared.inbox.clear() {
                delivery.nak();
            }
        }
        self.pull.advance(now, self.shared.outbox.is_read_up(), self.engine.is_connected());
    }

    /// Answers whether nothing more will arrive.
    fn happened(&mut self, now: Instant, event: Event<E::Item, E::Key>) -> bool {
        match event {
            Event::Arrived(it) => {
                self.signal.came(now, it.pending, it.age);
                let reception = self.pull.arrived(now, it.id, it.key, it.bytes, it.delivered);
                if reception == Reception::Deliver {
                    self.arrived.push(Delivery::new(it.item, it.id, it.delivered, &self.shared.outbox));
                }
                false
            }
            Event::Ended(number, end, undelivered) => {
                let is_end = self.pull.ended(now, number, end, undelivered);
                if is_end {
                    self.shared.gone();
                }
                is_end
            }
            Event::Lettered(id, is_there) => {
                self.pull.lettered(now, id, is_there);
                false
            }
            Event::Lag(lag, asked) => {
                self.signal.lag(lag, asked);
                false
            }
            Event::Closed => {
                self.pull.closed();
                true
            }
        }
    }

    async fn send(&mut self) -> Result<(), Disconnected> {
        while let Some(command) = self.pull.command() {
            self.engine.perform(command).await?;
        }
        Ok(())
    }

    /// Publishes the books.
    fn report(&mut self) {
        let counts = self.pull.counts();
        self.signal.report(&counts);
        self.shared.publish(counts, self.signal.seen());
    }
}

impl<E: Engine> Drop for Agent<E> {
    /// After a regular end everything is settled. When the runtime drops the task, the server delivers again what is held.
    fn drop(&mut self) {
        self.shared.inbox.close();
        drop(self.shared.inbox.clear());
        // What happened since the last report is in no book yet.
        self.report();
        let PullCounts { held, .. } = self.pull.counts();
        self.signal.abandon(held, DropReason::Closed);
        self.shared.end();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::config::{ConsumerRules, PullConfig};
    use crate::engine::{Arrival, Command, End};
    use crate::source::PullSource;

    /// Delivers two messages to the first request. At the second its connection is closed for good.
    struct BreaksOff(Vec<Event<&'static str, u64>>);

    impl Engine for BreaksOff {
        type Item = &'static str;
        type Key = u64;

        async fn receive(&mut self, events: &mut Vec<Event<&'static str, u64>>, _: usize) {
            if self.0.is_empty() {
                pending::<()>().await;
            }
            events.append(&mut self.0);
        }

        async fn perform(&mut self, command: Command<u64>) -> Result<(), Disconnected> {
            match command {
                Command::Pull(demand) if demand.number > 0 => Err(Disconnected),
                _ => Ok(()),
            }
        }

        async fn flush(&mut self) {}

        fn is_connected(&self) -> bool {
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn c1_what_came_just_before_the_connection_broke_off_is_in_the_books() {
        let arrived = |id| Event::Arrived(Arrival::new(id, id, "message"));
        let engine = BreaksOff(vec![arrived(1), arrived(2), Event::Ended(0, End::Expired, None)]);
        let rules = ConsumerRules::new(std::time::Duration::from_secs(30));
        let mut source = PullSource::spawn(engine, PullConfig::new(), rules).unwrap();
        let handle = source.handle();
        handle.settled().await;
        assert!(source.next().await.is_none(), "the server delivers them again");
        let books = handle.counts();
        assert!(books.received == 2 && books.balances(), "{books:?}");
        let counts = handle.gauge().snapshot().counts;
        assert_eq!((counts.received, counts.in_flight, counts.lost(DropReason::Closed)), (2, 0, 2), "{counts:?}");
    }
}
