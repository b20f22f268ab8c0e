//! The rules of a JetStream consumer, as runs against real servers showed them: a plain value, with time as an argument.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::{Demand, End};

/// How a consumer is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) ack_wait: Duration,
    pub(crate) max_ack_pending: usize,
    pub(crate) max_deliver: u64,
}

/// What is said of a delivery. Whose it is does not matter to the server: a late answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Ack,
    Nak(Duration),
    Progress,
    Term,
}

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Message {
        id: u64,
        bytes: usize,
        delivered: u64,
        pending: u64,
    },
    /// A request ended without so many of its messages.
    End(u64, End, usize),
}

/// One stream with one consumer that many clients share.
#[derive(Debug)]
pub(crate) struct Server {
    rules: Rules,
    /// The size of every message ever published; the first has the number 1.
    pub(crate) sizes: Vec<usize>,
    /// Messages delivered at least once.
    given: u64,
    pending: BTreeMap<u64, Pending>,
    /// Given back at once, in the order in which that was said.
    returned: VecDeque<u64>,
    requests: VecDeque<Request>,
    pub(crate) acked: BTreeSet<u64>,
    pub(crate) termed: BTreeSet<u64>,
    /// Delivered as often as is permitted, and never settled.
    pub(crate) exhausted: BTreeSet<u64>,
    pub(crate) is_down: bool,
    pub(crate) is_paused: bool,
}

#[derive(Debug)]
struct Pending {
    delivered: u64,
    /// When it is delivered again.
    due: Instant,
}

#[derive(Debug)]
struct Request {
    client: usize,
    number: u64,
    left: usize,
    bytes: Option<usize>,
    expires: Instant,
}

impl Server {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            sizes: Vec::new(),
            given: 0,
            pending: BTreeMap::new(),
            returned: VecDeque::new(),
            requests: VecDeque::new(),
            acked: BTreeSet::new(),
            termed: BTreeSet::new(),
            exhausted: BTreeSet::new(),
            is_down: false,
            is_paused: false,
        }
    }

    pub(crate) fn publish(&mut self, bytes: usize) {
        self.sizes.push(bytes);
    }

    /// Deliveries that wait for an answer.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Messages that will be delivered, or are.
    pub(crate) fn unsettled(&self) -> usize {
        self.sizes.len() - self.acked.len() - self.termed.len() - self.exhausted.len()
    }

    pub(crate) fn request(&mut self, now: Instant, client: usize, demand: Demand) {
        if !self.is_down {
            let Demand { number, items, bytes, expires, .. } = demand;
            self.requests.push_back(Request { client, number, left: items, bytes, expires: now + expires });
        }
    }

    /// How many requests of a client are out, and how many messages they may bring.
    pub(crate) fn asked_by(&self, client: usize) -> (usize, usize) {
        let requests = self.requests.iter().filter(|request| request.client == client);
        requests.fold((0, 0), |(count, left), request| (count + 1, left + request.left))
    }

    pub(crate) fn answer(&mut self, now: Instant, id: u64, answer: Answer) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        match answer {
            Answer::Progress => pending.due = now + self.rules.ack_wait,
            Answer::Nak(Duration::ZERO) => {
                pending.due = now + self.rules.ack_wait;
                if !self.returned.contains(&id) {
                    self.returned.push_back(id);
                }
            }
            Answer::Nak(delay) => pending.due = now + delay,
            Answer::Ack => self.settle(id, true),
            Answer::Term => self.settle(id, false),
        }
    }

    fn settle(&mut self, id: u64, is_acked: bool) {
        self.pending.remove(&id);
        self.returned.retain(|&returned| returned != id);
        if is_acked {
            self.acked.insert(id)
        } else {
            self.termed.insert(id)
        };
    }

    /// A client is gone: its requests, too. Its deliveries stay pending.
    pub(crate) fn forget(&mut self, client: usize) {
        self.requests.retain(|request| request.client != client);
    }

    /// It is killed. What it has stored survives; requests do not.
    pub(crate) fn go_down(&mut self) {
        self.is_down = true;
        self.requests.clear();
    }

    /// When something happens of itself.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let requests = self.requests.iter().map(|request| request.expires);
        requests.chain(self.pending.values().map(|pending| pending.due)).min()
    }

    /// Everything that is sent at this time.
    pub(crate) fn advance(&mut self, now: Instant) -> Vec<(usize, Sent)> {
        let mut sent = Vec::new();
        if self.is_down {
            return sent;
        }
        self.requests.retain(|request| {
            let is_over = request.expires <= now;
            if is_over {
                sent.push((request.client, Sent::End(request.number, End::Expired, request.left)));
            }
            !is_over
        });
        let most = self.rules.max_deliver;
        let over: Vec<_> = self.pending.iter().filter(|(_, it)| it.due <= now && it.delivered >= most).collect();
        for id in over.into_iter().map(|(&id, _)| id).collect::<Vec<_>>() {
            self.pending.remove(&id);
            self.exhausted.insert(id);
        }
        while let Some(id) = self.next(now).filter(|_| !self.is_paused) {
            let Some(mut request) = self.requests.pop_front() else { break };
            let bytes = self.sizes[id as usize - 1];
            if request.bytes.is_some_and(|most| bytes > most) {
                sent.push((request.client, Sent::End(request.number, End::Bytes, request.left)));
                continue;
            }
            sent.push((request.client, self.deliver(now, id)));
            request.left -= 1;
            request.bytes = request.bytes.map(|most| most - bytes);
            if request.left > 0 {
                self.requests.push_back(request);
            }
        }
        sent
    }

    /// What is delivered next: what was given back, then what is overdue, then what is new.
    fn next(&mut self, now: Instant) -> Option<u64> {
        let most = self.rules.max_deliver;
        while let Some(&id) = self.returned.front() {
            match self.pending.get(&id) {
                Some(pending) if pending.delivered < most => return Some(id),
                Some(_) => {
                    self.pending.remove(&id);
                    self.exhausted.insert(id);
                }
                None => {}
            }
            self.returned.pop_front();
        }
        let overdue = self.pending.iter().find(|(_, pending)| pending.due <= now).map(|(&id, _)| id);
        let has_room = self.pending.len() < self.rules.max_ack_pending;
        overdue.or_else(|| (has_room && self.given < self.sizes.len() as u64).then_some(self.given + 1))
    }

    fn deliver(&mut self, now: Instant, id: u64) -> Sent {
        self.returned.retain(|&returned| returned != id);
        self.given = self.given.max(id);
        let pending = self.pending.entry(id).or_insert(Pending { delivered: 0, due: now });
        pending.delivered += 1;
        pending.due = now + self.rules.ack_wait;
        let delivered = pending.delivered;
        let pending = self.sizes.len() as u64 - self.given;
        Sent::Message { id, bytes: self.sizes[id as usize - 1], delivered, pending }
    }
}
