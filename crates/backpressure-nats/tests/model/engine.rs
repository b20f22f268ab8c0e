//! The model as an engine: what is sent arrives at once, in order, while the server is up.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use backpressure_nats::engine::{Arrival, Command, ConsumerRules, Disconnected, Engine, Event};
use backpressure_nats::{PullConfig, PullSource};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::End;
use super::server::{Answer, Rules, Sent, Server};
use crate::scenarios::world::{Setup, World};

/// A server on paper.
#[derive(Clone, Default)]
pub(crate) struct Paper {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Option<State>>,
    changed: Notify,
}

struct State {
    setup: Setup,
    server: Server,
    wires: BTreeMap<usize, VecDeque<Event<u64, u64>>>,
    letters: Vec<u64>,
    clients: usize,
    is_deleted: bool,
}

impl Paper {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let result = act(self.lock().as_mut().expect("it is set up"));
        self.pump();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.shared.state.lock().unwrap()
    }

    /// Lets the server act, and carries what it sends.
    fn pump(&self) {
        let mut state = self.lock();
        let state = state.as_mut().expect("it is set up");
        for (client, sent) in state.server.advance(Instant::now().into_std()) {
            let event = match sent {
                Sent::Message { id, bytes, delivered, pending } => {
                    let mut arrival = Arrival::new(id, id, id);
                    (arrival.bytes, arrival.delivered, arrival.pending) = (bytes, delivered, pending);
                    Event::Arrived(arrival)
                }
                Sent::End(number, end, left) => Event::Ended(number, end, Some(left)),
            };
            state.wires.entry(client).or_default().push_back(event);
        }
        self.shared.changed.notify_waiters();
    }

    /// A source whose connection can be cut without a word, as when its process is killed.
    pub(crate) fn source_to_kill(&self, config: PullConfig) -> Result<(PullSource<u64>, Wire)> {
        let (client, rules) = self.with(|state| {
            state.clients += 1;
            let Setup { ack_wait, max_ack_pending, max_deliver } = state.setup;
            let mut rules = ConsumerRules::new(ack_wait);
            (rules.max_ack_pending, rules.max_deliver, rules.dead_letters) = (Some(max_ack_pending), max_deliver, true);
            (state.clients, rules)
        });
        let wire = Wire { paper: self.clone(), client, is_cut: Arc::default() };
        Ok((PullSource::spawn(wire.clone(), config, rules)?, wire))
    }

    /// Deliveries that wait for an answer.
    pub(crate) fn pending(&self) -> usize {
        self.with(|state| state.server.pending())
    }

    /// Time passes for the server, too.
    fn run(&self) {
        let paper = self.clone();
        tokio::spawn(async move {
            loop {
                let next =
                    paper.lock().as_ref().and_then(|state| state.server.timeout().filter(|_| !state.server.is_down));
                let changed = paper.shared.changed.notified();
                match next {
                    Some(at) => drop(tokio::time::timeout_at(at.into(), changed).await),
                    None => changed.await,
                }
                let now = Instant::now().into_std();
                let is_due = |state: &State| state.server.timeout().is_some_and(|at| at <= now);
                if paper.lock().as_ref().is_some_and(is_due) {
                    paper.pump();
                }
            }
        });
    }
}

impl World for Paper {
    type Item = u64;

    async fn set_up(&self, setup: Setup) -> Result<()> {
        let rules = Rules {
            ack_wait: setup.ack_wait,
            max_ack_pending: setup.max_ack_pending,
            max_deliver: setup.max_deliver.unwrap_or(u64::MAX),
        };
        let server = Server::new(rules);
        *self.lock() =
            Some(State { setup, server, wires: BTreeMap::new(), letters: Vec::new(), clients: 0, is_deleted: false });
        self.run();
        Ok(())
    }

    async fn publish(&self, count: u64, bytes: usize) -> Result<()> {
        self.with(|state| (0..count).for_each(|_| state.server.publish(bytes)));
        Ok(())
    }

    async fn source(&self, config: PullConfig) -> Result<PullSource<u64>> {
        Ok(self.source_to_kill(config)?.0)
    }

    async fn restart(&self, down: Duration) -> Result<()> {
        self.with(|state| {
            state.server.go_down();
            state.wires.clear();
        });
        tokio::time::sleep(down).await; // tidy: paused clock
        self.with(|state| state.server.is_down = false);
        Ok(())
    }

    async fn delete_consumer(&self) -> Result<()> {
        self.with(|state| state.is_deleted = true);
        Ok(())
    }

    async fn unsettled(&self) -> Result<u64> {
        Ok(self.with(|state| state.server.unsettled() as u64))
    }

    async fn dead_letters(&self) -> Result<Vec<u64>> {
        Ok(self.with(|state| state.letters.clone()))
    }
}

/// The connection of one client.
#[derive(Clone)]
pub(crate) struct Wire {
    paper: Paper,
    client: usize,
    is_cut: Arc<Mutex<bool>>,
}

impl Wire {
    /// Nothing goes out or comes in any more.
    pub(crate) fn cut(&self) {
        *self.is_cut.lock().unwrap() = true;
        self.paper.with(|state| state.server.forget(self.client));
    }

    fn is_cut(&self) -> bool {
        *self.is_cut.lock().unwrap()
    }

    fn carry_out(&self, state: &mut State, command: Command<u64>) {
        let now = Instant::now().into_std();
        let back = state.wires.entry(self.client).or_default();
        let (id, answer) = match command {
            Command::Pull(demand) if state.is_deleted => {
                return back.push_back(Event::Ended(demand.number, End::Unanswered, None));
            }
            Command::Pull(demand) => {
                let (requests, _) = state.server.asked_by(self.client);
                assert!(requests < 4, "{requests} requests are out already");
                return state.server.request(now, self.client, demand);
            }
            Command::DeadLetter(id, _) => {
                back.push_back(Event::Lettered(id, true));
                return state.letters.push(id);
            }
            Command::Close => {
                back.push_back(Event::Closed);
                return state.server.forget(self.client);
            }
            Command::Progress(id) => (id, Answer::Progress),
            Command::Ack(id) => (id, Answer::Ack),
            Command::Nak(id, delay) => (id, Answer::Nak(delay)),
            Command::Term(id) => (id, Answer::Term),
            unknown => panic!("the model does not know {unknown:?}"),
        };
        state.server.answer(now, id, answer);
    }
}

impl Engine for Wire {
    type Item = u64;
    type Key = u64;

    async fn receive(&mut self, events: &mut Vec<Event<u64, u64>>, most: usize) {
        loop {
            let changed = self.paper.shared.changed.notified();
            let is_cut = self.is_cut();
            if let Some(State { wires, .. }) = self.paper.lock().as_mut().filter(|_| !is_cut) {
                let wire = wires.entry(self.client).or_default();
                let count = wire.len().min(most);
                events.extend(wire.drain(..count));
            }
            if !events.is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn perform(&mut self, command: Command<u64>) -> impl Future<Output = Result<(), Disconnected>> + Send {
        if !self.is_cut() {
            self.paper.with(|state| self.carry_out(state, command));
        }
        async { Ok(()) }
    }

    async fn flush(&mut self) {}

    fn is_connected(&self) -> bool {
        !self.is_cut() && !self.paper.lock().as_ref().is_some_and(|state| state.server.is_down)
    }
}
