//! The state machine: what arrives, what is held, what is said of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::books::PullCounts;
use super::demand::{Requests, Room};
use super::held::{Held, Lease, Renewals};
use super::ids::ById;
use crate::config::{ConsumerRules, PullConfig};
use crate::engine::{Command, End};
use crate::settlement::Settlement;

/// What is to be done with a message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reception {
    /// It is a delivery.
    Deliver,
    /// It is held already: whoever holds it settles both.
    Double,
    /// It was acknowledged already, and is once more.
    Repeat,
    /// It goes back at once.
    HandBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pulling,
    /// Nothing more is asked for; what the last requests bring goes back.
    Stopping,
    /// No request is out.
    Closing,
    /// Nothing will arrive.
    Closed,
}

/// Who pulls, for one consumer and one worker.
#[derive(Debug)]
pub(crate) struct Pull<K> {
    config: PullConfig,
    rules: ConsumerRules,
    lease: Lease,
    phase: Phase,
    held: HashMap<u64, Held<K>, ById>,
    held_bytes: usize,
    renewals: Renewals,
    requests: Requests,
    /// When what was given back with a delay ceases to count against the server's bound.
    delayed: BinaryHeap<Reverse<Instant>>,
    /// What was acknowledged late, and when.
    late: VecDeque<(Instant, u64)>,
    late_ids: HashSet<u64, ById>,
    commands: VecDeque<Command<K>>,
    counts: PullCounts,
}

impl<K: Clone> Pull<K> {
    pub(crate) fn new(config: PullConfig, rules: ConsumerRules) -> Self {
        Self {
            lease: Lease::new(rules.ack_wait, config.longest_hold),
            phase: Phase::Pulling,
            held: HashMap::default(),
            held_bytes: 0,
            renewals: Renewals::new(),
            requests: Requests::new(&config, &rules),
            delayed: BinaryHeap::new(),
            late: VecDeque::new(),
            late_ids: HashSet::default(),
            commands: VecDeque::new(),
            counts: PullCounts::default(),
            config,
            rules,
        }
    }

    pub(crate) fn arrived(&mut self, now: Instant, id: u64, key: K, bytes: usize, delivered: u64) -> Reception {
        self.requests.came();
        if self.late_ids.contains(&id) {
            self.counts.repeats += 1;
            self.commands.push_back(Command::Ack(key));
            return Reception::Repeat;
        }
        if let Some(held) = self.held.get_mut(&id) {
            held.again(now, key, delivered);
            self.counts.doubles += 1;
            return Reception::Double;
        }
        self.counts.received += 1;
        self.counts.redelivered += u64::from(delivered > 1);
        if self.phase != Phase::Pulling || self.held.len() >= self.config.window {
            self.counts.naked += 1;
            self.counts.handed_back += 1;
            self.commands.push_back(Command::Nak(key, Duration::ZERO));
            return Reception::HandBack;
        }
        self.held.insert(id, Held::new(now, key, bytes, delivered));
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        self.renewals.arm(now, self.lease);
        Reception::Deliver
    }

    /// A request ended before all of its messages came: so many will not come, if that is known. Answers whether that is the end
    /// of all.
    pub(crate) fn ended(&mut self, now: Instant, number: u64, end: End, undelivered: Option<usize>) -> bool {
        let goes_on = self.requests.ended(now, number, end, undelivered, self.held_bytes);
        if !goes_on {
            self.phase = Phase::Closed;
        }
        !goes_on
    }

    /// A delivery is settled by its holder.
    pub(crate) fn settle(&mut self, now: Instant, id: u64, settlement: Settlement) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let is_over = self.lease.is_over(now, held);
        match settlement {
            Settlement::Ack => {
                self.counts.acked += 1;
                if is_over {
                    self.counts.acked_late += 1;
                    self.late.push_back((now, id));
                    self.late_ids.insert(id);
                }
                self.remove(id, Command::Ack);
            }
            _ if is_over => {
                self.counts.forgotten += 1;
                self.take(id);
            }
            Settlement::Nak(delay) => self.give_back(now, id, delay),
            Settlement::Dropped => {
                self.counts.dropped += 1;
                self.give_back(now, id, self.config.dropped_delay);
            }
            Settlement::Retry(least) => match self.config.redelivery(held.delivered) {
                Some(delay) if !self.is_last(id) => self.give_back(now, id, delay.max(least)),
                _ => self.terminate(id),
            },
            Settlement::Term => self.terminate(id),
        }
    }

    /// The message is among the dead letters, or could not be put there.
    pub(crate) fn lettered(&mut self, now: Instant, id: u64, is_there: bool) {
        let Some(held) = self.held.get_mut(&id).filter(|held| held.lettering) else { return };
        held.lettering = false;
        if self.lease.is_over(now, held) {
            self.counts.forgotten += 1;
            self.take(id);
        } else if is_there {
            self.counts.termed += 1;
            self.counts.dead_letters += 1;
            self.remove(id, Command::Term);
        } else {
            self.counts.exhausted += u64::from(self.is_last(id));
            self.nak(now, id, Duration::from_secs(1));
        }
    }

    /// Decides what is to be done at this time. `is_wanted` if what follows waits for a delivery; `is_connected` if what is
    /// sent goes out.
    pub(crate) fn advance(&mut self, now: Instant, is_wanted: bool, is_connected: bool) {
        if self.renewals.is_time(now, self.lease, self.held.is_empty()) && is_connected {
            for held in self.held.values_mut() {
                if self.lease.renew(now, held) {
                    self.counts.renewals += 1;
                    self.commands.push_back(Command::Progress(held.key.clone()));
                }
            }
        }
        while self.delayed.peek().is_some_and(|&Reverse(until)| until <= now) {
            self.delayed.pop();
        }
        while let Some(&(_, id)) =
            self.late.front().filter(|(at, _)| now.saturating_duration_since(*at) >= self.lease.memory())
        {
            self.late.pop_front();
            self.late_ids.remove(&id);
        }
        self.counts.unheard += u64::from(self.requests.give_up_unheard(now));
        if self.phase == Phase::Stopping && !self.requests.is_out() {
            self.phase = Phase::Closing;
            self.commands.push_back(Command::Close);
        }
        if self.phase != Phase::Pulling {
            return;
        }
        if !is_connected {
            return self.requests.put_off(now);
        }
        let held = self.held.len();
        let most = self.rules.max_ack_pending.unwrap_or(usize::MAX);
        let room = Room {
            window: self.config.window.saturating_sub(held),
            server: most.saturating_sub(held).saturating_sub(self.delayed.len()),
            bytes: self.held_bytes,
            is_empty: held == 0,
            is_wanted,
        };
        if let Some(demand) = self.requests.next(now, room) {
            self.counts.pulls += 1;
            self.commands.push_back(Command::Pull(demand));
        }
    }

    /// When to [`advance`](Self::advance) although nothing happens.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let pulls = self.phase == Phase::Pulling;
        let request = self.requests.timeout().filter(|_| pulls || self.requests.is_out());
        let delayed = self.delayed.peek().map(|&Reverse(until)| until).filter(|_| pulls && !self.requests.is_out());
        [self.renewals.next(), request, delayed].into_iter().flatten().min()
    }

    /// Asks for nothing more. What arrives from now on goes back at once. Requests that are out are waited for: they cannot be taken
    /// back, and what they bring to nobody would wait for `ack_wait`.
    pub(crate) fn stop(&mut self) {
        if self.phase == Phase::Pulling {
            self.phase = Phase::Stopping;
        }
    }

    /// Nothing will arrive any more.
    pub(crate) const fn closed(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Whether nothing will arrive and nothing is held.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Closed && self.held.is_empty()
    }

    pub(crate) fn command(&mut self) -> Option<Command<K>> {
        self.commands.pop_front()
    }

    pub(crate) fn counts(&self) -> PullCounts {
        PullCounts { held: self.held.len() as u64, ..self.counts }
    }

    /// Whether the consumer permits no delivery of this message after this one.
    fn is_last(&self, id: u64) -> bool {
        let most = self.rules.max_deliver.unwrap_or(u64::MAX);
        self.held.get(&id).is_some_and(|held| held.delivered >= most)
    }

    /// Gives it back; on its last delivery to the dead letters, if there are any, since nobody would get it again.
    fn give_back(&mut self, now: Instant, id: u64, delay: Duration) {
        let is_last = self.is_last(id);
        if is_last && self.rules.dead_letters {
            return self.terminate(id);
        }
        self.counts.exhausted += u64::from(is_last);
        self.nak(now, id, delay);
    }

    fn nak(&mut self, now: Instant, id: u64, delay: Duration) {
        self.counts.naked += 1;
        if let Some(until) = now.checked_add(delay).filter(|_| self.rules.max_ack_pending.is_some() && !delay.is_zero())
        {
            self.delayed.push(Reverse(until));
        }
        self.remove(id, |key| Command::Nak(key, delay));
    }

    /// It stays held until it is among the dead letters, if there are any.
    fn terminate(&mut self, id: u64) {
        match self.held.get_mut(&id) {
            Some(held) if self.rules.dead_letters => {
                held.lettering = true;
                self.commands.push_back(Command::DeadLetter(id, held.key.clone()));
            }
            _ => {
                self.counts.termed += 1;
                self.remove(id, Command::Term);
            }
        }
    }

    fn remove(&mut self, id: u64, command: impl FnOnce(K) -> Command<K>) {
        if let Some(held) = self.take(id) {
            self.commands.push_back(command(held.key));
        }
    }

    fn take(&mut self, id: u64) -> Option<Held<K>> {
        let held = self.held.remove(&id)?;
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
        Some(held)
    }
}
