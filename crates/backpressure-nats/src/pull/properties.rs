//! Several workers at one server, in simulated time: what must be true whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use self::server::{Answer, Rules, Sent, Server};
use super::{Pull, Reception};
use crate::config::{ConsumerRules, PullConfig};
use crate::engine::{Command, Demand, End};
use crate::settlement::Settlement;

#[path = "../../tests/model/server.rs"]
mod server;

const MS: Duration = Duration::from_millis(1);
const ACK_WAIT: Duration = Duration::from_millis(1_200);
const BYTES: usize = 100;

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish(usize, usize),
    /// Time passes, and all workers that are not stuck look at the clock when they said they would.
    Pass(u64),
    /// The n-th delivery that a worker holds is settled.
    Settle(usize, usize, Settlement),
    Kill(usize),
    /// The worker's thread is blocked for this long.
    Stick(usize, u64),
    Restart(u64),
}

fn step(workers: usize) -> impl Strategy<Value = Step> {
    let settlement = prop_oneof![
        6 => Just(Settlement::Ack),
        1 => (0..2_000_u64).prop_map(|ms| Settlement::Nak(ms.saturating_sub(500) as u32 * MS)),
        1 => (0..2_000_u64).prop_map(|ms| Settlement::Retry(ms as u32 * MS)),
        1 => Just(Settlement::Dropped),
        1 => Just(Settlement::Term),
    ];
    prop_oneof![
        3 => (1..30_usize, prop_oneof![8 => 1..60_usize, 1 => 101..300_usize]).prop_map(|(n, bytes)| Step::Publish(n, bytes)),
        4 => (1..3_000_u64).prop_map(Step::Pass),
        8 => (0..workers, 0..20_usize, settlement).prop_map(|(w, n, s)| Step::Settle(w, n, s)),
        1 => (0..workers).prop_map(Step::Kill),
        1 => (0..workers, 500..5_000_u64).prop_map(|(w, ms)| Step::Stick(w, ms)),
        1 => (1..5_000_u64).prop_map(Step::Restart),
    ]
}

struct Worker {
    pull: Pull<u64>,
    /// Deliveries given to what follows, and not settled.
    holds: Vec<u64>,
    stuck_until: Instant,
    /// Deliveries given back with a delay, which still count against the server's bound.
    delayed: Vec<Instant>,
    /// Since when the worker's leases may have been lost for want of a look at the clock, or of a server.
    careless: BTreeSet<u64>,
}

struct World {
    now: Instant,
    server: Server,
    workers: Vec<Worker>,
    config: PullConfig,
    rules: ConsumerRules,
    up_again: Option<Instant>,
    /// Whether the server says how many messages a request that ended did not bring.
    is_told_what_is_left: bool,
    dead_letters: BTreeSet<u64>,
    wires: BTreeMap<usize, Vec<(Instant, Sent)>>,
}

impl World {
    fn new(workers: usize, config: PullConfig, rules: ConsumerRules) -> Self {
        let now = Instant::now();
        let server = Server::new(Rules {
            ack_wait: rules.ack_wait,
            max_ack_pending: rules.max_ack_pending.unwrap_or(usize::MAX),
            max_deliver: rules.max_deliver.unwrap_or(u64::MAX),
        });
        let mut world = Self {
            now,
            server,
            workers: Vec::new(),
            config,
            rules,
            up_again: None,
            is_told_what_is_left: true,
            dead_letters: BTreeSet::new(),
            wires: BTreeMap::new(),
        };
        world.workers = (0..workers).map(|_| world.worker()).collect();
        world
    }

    fn worker(&self) -> Worker {
        let pull = Pull::new(self.config.clone(), self.rules.clone());
        Worker { pull, holds: Vec::new(), stuck_until: self.now, delayed: Vec::new(), careless: BTreeSet::new() }
    }

    /// Lets everybody act at this time until nothing more happens.
    fn settle_down(&mut self) {
        for _ in 0..1_000 {
            let mut moved = false;
            for number in 0..self.workers.len() {
                moved |= self.turn(number);
            }
            for (client, sent) in self.server.advance(self.now) {
                moved = true;
                self.check_exclusive(client, sent);
                self.wires.entry(client).or_default().push((self.now, sent));
            }
            if !moved {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.workers[0].pull);
    }

    /// A message that a careful worker holds is given to nobody else, unless a careless one gives back what it had too late: the
    /// server does not tell whose answer it is.
    fn check_exclusive(&self, client: usize, sent: Sent) {
        let Sent::Message { id, .. } = sent else { return };
        if self.workers.iter().any(|worker| worker.careless.contains(&id)) {
            return;
        }
        for worker in &self.workers {
            assert!(!worker.holds.contains(&id), "message {id} is held under a lease, and given to {client}");
        }
    }

    fn turn(&mut self, number: usize) -> bool {
        let worker = &mut self.workers[number];
        if self.now < worker.stuck_until {
            return false;
        }
        let arrived = self.wires.remove(&number).unwrap_or_default();
        let mut moved = !arrived.is_empty();
        for (at, sent) in arrived {
            match sent {
                Sent::Message { id, bytes, delivered, .. } => {
                    match worker.pull.arrived(self.now, id, id, bytes, delivered) {
                        Reception::Deliver => {
                            worker.careless.remove(&id);
                            // What lay before a worker that was stuck is older than it looks.
                            worker.careless.extend((at < self.now).then_some(id));
                            worker.holds.push(id);
                        }
                        Reception::Double => assert!(worker.holds.contains(&id)),
                        Reception::Repeat => assert!(!worker.holds.contains(&id)),
                        Reception::HandBack => {}
                    }
                }
                Sent::End(request, end, left) => {
                    let undelivered = self.is_told_what_is_left.then_some(left);
                    assert!(!worker.pull.ended(self.now, request, end, undelivered));
                }
            }
        }
        worker.pull.advance(self.now, worker.holds.is_empty(), !self.server.is_down);
        let mut letters = Vec::new();
        while let Some(command) = worker.pull.command() {
            moved = true;
            match command {
                Command::Pull(demand) => {
                    let out = self.server.asked_by(number);
                    check_demand(worker, demand, out, self.now, &self.config, &self.rules, &self.server);
                    self.server.request(self.now, number, demand);
                }
                Command::Progress(id) => {
                    assert!(worker.holds.contains(&id), "a lease is renewed that nobody holds");
                    self.server.answer(self.now, id, Answer::Progress);
                }
                Command::Ack(id) => self.server.answer(self.now, id, Answer::Ack),
                Command::Nak(id, delay) => {
                    if !delay.is_zero() {
                        worker.delayed.push(self.now + delay);
                    }
                    self.server.answer(self.now, id, Answer::Nak(delay));
                }
                Command::Term(id) => self.server.answer(self.now, id, Answer::Term),
                Command::DeadLetter(id, _) => letters.push(id),
                Command::Close => {}
            }
        }
        for id in letters {
            self.dead_letters.insert(id);
            worker.pull.lettered(self.now, id, true);
        }
        let counts = worker.pull.counts();
        assert!(counts.balances(), "{counts:?}");
        assert!(counts.held as usize <= self.config.window, "{counts:?}");
        let bytes: usize = worker.holds.iter().map(|&id| self.server.sizes[id as usize - 1]).sum();
        let is_bounded = self.config.window_bytes.is_some();
        assert!(
            !is_bounded || bytes <= BYTES || worker.holds.len() == 1,
            "{bytes} bytes in {} deliveries",
            worker.holds.len()
        );
        moved
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle_down();
            let workers = self.workers.iter().map(|it| it.pull.timeout().map(|at| at.max(it.stuck_until)));
            let times = workers.flatten().chain(self.server.timeout()).chain(self.up_again);
            let next = times.filter(|&at| at > self.now).min().unwrap_or(end).min(end);
            if next == end && self.now == end {
                return;
            }
            self.now = next;
            if self.up_again.is_some_and(|at| at <= self.now) {
                self.up_again = None;
                self.server.is_down = false;
            }
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Publish(messages, bytes) => (0..messages).for_each(|_| self.server.publish(bytes)),
            Step::Pass(ms) => self.pass(ms as u32 * MS),
            Step::Settle(number, nth, settlement) => {
                let worker = &mut self.workers[number];
                if self.now >= worker.stuck_until && !worker.holds.is_empty() {
                    let id = worker.holds.swap_remove(nth % worker.holds.len());
                    worker.pull.settle(self.now, id, settlement);
                }
            }
            Step::Kill(number) => {
                self.server.forget(number);
                self.wires.remove(&number);
                self.workers[number] = self.worker();
            }
            Step::Stick(number, ms) => {
                let worker = &mut self.workers[number];
                worker.stuck_until = worker.stuck_until.max(self.now + ms as u32 * MS);
                worker.careless.extend(worker.holds.iter().copied());
            }
            Step::Restart(ms) => {
                self.server.go_down();
                self.up_again = Some(self.now + ms as u32 * MS);
                for worker in &mut self.workers {
                    worker.careless.extend(worker.holds.iter().copied());
                }
            }
        }
        self.settle_down();
        let most = self.rules.max_ack_pending.unwrap_or(usize::MAX);
        assert!(self.server.pending() <= most, "{} are out", self.server.pending());
    }
}

/// Nothing is asked for that there is no room for, beside what is held and what the requests that are `out` may bring.
fn check_demand(
    worker: &mut Worker,
    demand: Demand,
    (requests, out): (usize, usize),
    now: Instant,
    config: &PullConfig,
    rules: &ConsumerRules,
    server: &Server,
) {
    worker.delayed.retain(|&until| until > now);
    let held = worker.holds.len() + out;
    assert!(requests < 4, "{demand:?} beside {requests} others");
    assert!(demand.items >= 1 && demand.items + held <= config.window, "{demand:?} beside {held}");
    let most = rules.max_ack_pending.unwrap_or(usize::MAX);
    assert!(demand.items + held + worker.delayed.len() <= most, "{demand:?} beside {held} and {:?}", worker.delayed);
    let bytes: usize = worker.holds.iter().map(|&id| server.sizes[id as usize - 1]).sum();
    match demand.bytes {
        None if config.window_bytes.is_none() => {}
        Some(free) => assert!(free <= BYTES - bytes),
        None => assert_eq!((demand.items, held), (1, 0), "only a message that fits nowhere has no bound"),
    }
}

fn rules(max_ack_pending: usize) -> ConsumerRules {
    ConsumerRules { max_ack_pending: Some(max_ack_pending), dead_letters: true, ..ConsumerRules::new(ACK_WAIT) }
}

fn config(window: usize, is_bounded: bool) -> PullConfig {
    let config = if is_bounded { PullConfig::new().window_bytes(BYTES) } else { PullConfig::new() };
    config
        .with_window(window)
        .redeliver([300 * MS, 900 * MS, 2_000 * MS])
        .dropped_delay(200 * MS)
        .longest_hold(Duration::from_secs(86_400))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn c2_d2_d3_every_message_has_one_end_whatever_happens_to_the_workers(
        window in 1..40_usize,
        (is_bounded, is_told_what_is_left) in any::<(bool, bool)>(),
        max_ack_pending in 1..60_usize,
        max_deliver in prop_oneof![Just(None), (1..6_u64).prop_map(Some)],
        steps in proptest::collection::vec(step(3), 1..120),
    ) {
        let rules = ConsumerRules { max_deliver, ..rules(max_ack_pending) };
        let mut world = World::new(3, config(window, is_bounded), rules);
        world.is_told_what_is_left = is_told_what_is_left;
        for step in steps {
            world.apply(step);
        }
        // From here on everything is well, and everything that is delivered is acknowledged.
        for _ in 0..2_000 {
            let is_idle = world.workers.iter().all(|it| it.holds.is_empty() && it.stuck_until < world.now);
            if world.server.unsettled() == 0 && is_idle && world.wires.is_empty() {
                break;
            }
            for number in 0..3 {
                for _ in 0..world.workers[number].holds.len() {
                    world.apply(Step::Settle(number, 0, Settlement::Ack));
                }
            }
            world.pass(500 * MS);
        }
        prop_assert_eq!(world.server.unsettled(), 0, "of {} messages", world.server.sizes.len());
        let lost = world.server.termed.difference(&world.dead_letters).count();
        prop_assert_eq!(lost, 0, "terminated, and not among the dead letters");
        if max_deliver.is_none() {
            prop_assert_eq!(world.server.exhausted.len(), 0);
        }
        for worker in &world.workers {
            prop_assert_eq!(worker.pull.counts().held, 0);
        }
    }
}
