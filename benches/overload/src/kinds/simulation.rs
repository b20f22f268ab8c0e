//! One run of a world.

use std::time::Duration;

use backpressure_core::ConfigError;
use backpressure_core::limit::{Criticality, Level, Outcome};
use backpressure_tower::TenantLevels;

use super::recovery::Recovery;
use super::sharing::fairness;
use super::world::{Callers, Class, Fate, World, at, nanos};
use crate::clock::{Agenda, MS, Nanos, SECOND};
use crate::gate::{Answer, Call, Gate};
use crate::policy::Policy;
use crate::random::Random;
use crate::scenario::{SHED_COST, WAIT_COST};
use crate::server::Pool;

/// From an answer to the next call of a connection.
const ROUND_TRIP: Nanos = MS / 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    Ran(Call, Done),
    Waited(Call),
    Served(Call),
    Expired(Call),
    Again,
    Resumed,
    End,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Enter,
    Look,
    /// It was admitted by its client.
    Begin,
    Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    FirstHalf,
    SecondHalf,
    Refused,
    MadeToWait,
}

#[derive(Debug, Clone, Copy)]
struct State {
    called: Nanos,
    class: usize,
    tenant: usize,
    client: usize,
    cpu: f64,
    wait: f64,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Good answers per second.
    pub goodput: f64,
    /// The share of all calls that was refused.
    pub shed: f64,
    /// Seconds until it is back for good after the server has changed, if it does.
    pub recovery: Option<f64>,
    /// How evenly the good answers are spread over the clients, if there are several.
    pub fairness: Option<f64>,
}

#[derive(Debug)]
pub struct Run<'a> {
    world: &'a World,
    /// One for each client.
    gates: Vec<Gate>,
    agenda: Agenda<Event>,
    arrivals: Random,
    work: Random,
    cores: Pool<(Call, Turn)>,
    pool: Pool<Call>,
    calls: Vec<State>,
    tenants: TenantLevels,
    is_paused: bool,
    counts: [u64; 3],
    recovery: Recovery,
    /// Good answers by client.
    shares: Vec<u64>,
}

const GOOD: usize = 0;
const SHED: usize = 1;
const CALLS: usize = 2;

impl<'a> Run<'a> {
    pub fn new(world: &'a World, policy: Policy, seed: u64, too_late: Duration) -> Result<Self, ConfigError> {
        let agenda = Agenda::new();
        let gate = |client: u64| Ok(Gate::new(policy.limiter_told(seed.wrapping_add(client), too_late)?));
        let gates = (0..world.clients as u64).map(gate).collect::<Result<_, ConfigError>>()?;
        Ok(Self {
            world,
            gates,
            agenda,
            arrivals: Random::new(seed, 11),
            work: Random::new(seed, 12),
            cores: Pool::new(world.cores),
            pool: Pool::new(world.pool),
            calls: Vec::new(),
            tenants: TenantLevels::new(),
            is_paused: false,
            counts: [0; 3],
            recovery: Recovery::default(),
            shares: vec![0; world.clients],
        })
    }

    pub fn run(mut self) -> Tally {
        match self.world.callers {
            Callers::Open { .. } => self.agenda.after(0, Event::Arrival),
            Callers::Closed { connections } => (0..connections).for_each(|_| self.agenda.after(0, Event::Again)),
        }
        self.agenda.after(nanos(self.world.to) + 2 * SECOND, Event::End);
        while let Some(event) = self.agenda.next() {
            match event {
                Event::Arrival => self.arrive(),
                Event::Again => self.call(),
                Event::Ran(call, done) => self.ran(call, done),
                Event::Waited(call) => self.cores.push((call, Turn::Finish)),
                Event::Served(call) => {
                    self.pool.done();
                    self.cores.push((call, Turn::Finish));
                }
                Event::Expired(call) => self.woken(call),
                Event::Resumed => self.is_paused = false,
                Event::End => break,
            }
            self.dispatch();
            for client in 0..self.gates.len() {
                self.gates[client].woken().into_iter().for_each(|call| self.woken(call));
            }
            self.dispatch();
        }
        let seconds = self.world.to - self.world.from;
        let [good, shed, calls] = self.counts.map(|count| count as f64);
        Tally {
            goodput: good / seconds,
            shed: shed / calls.max(1.0),
            recovery: self.recovery.longest(self.world),
            fairness: fairness(&self.shares),
        }
    }

    fn count(&mut self, what: usize, call: Call) {
        let called = self.calls[call as usize].called;
        self.counts[what] += u64::from(self.is_measured(called));
    }

    fn is_measured(&self, called: Nanos) -> bool {
        (nanos(self.world.from)..nanos(self.world.to)).contains(&called)
    }

    fn seconds(&self) -> f64 {
        self.agenda.now() as f64 / SECOND as f64
    }

    fn arrive(&mut self) {
        let Callers::Open { page } = self.world.callers else { return };
        let gap = self.arrivals.exponential(page as f64 / at(&self.world.load, self.seconds()));
        self.agenda.after(nanos(gap), Event::Arrival);
        (0..page).for_each(|_| self.call());
    }

    fn call(&mut self) {
        let class = self.world.draw_class(&mut self.work);
        let of = &self.world.classes[class];
        let (cpu, wait) = (of.cpu.draw(&mut self.work), of.wait.draw(&mut self.work));
        let call = self.calls.len() as Call;
        let tenant = if of.tenants > 1 { (self.work.unit() * of.tenants as f64) as usize } else { 0 };
        let client = if self.is_shared() { (self.work.unit() * self.gates.len() as f64) as usize } else { 0 };
        self.calls.push(State { called: self.agenda.now(), class, tenant, client, cpu, wait });
        self.count(CALLS, call);
        self.recovery.called(self.agenda.now());
        if self.is_shared() {
            self.ask(call, true);
        } else {
            self.cores.push((call, Turn::Enter));
        }
    }

    /// Whether several clients share the server: what they decide costs it nothing.
    fn is_shared(&self) -> bool {
        self.gates.len() > 1
    }

    fn ask(&mut self, call: Call, is_new: bool) {
        match self.decided(call, is_new, 0.0).0 {
            Done::FirstHalf => self.cores.push((call, Turn::Begin)),
            Done::Refused => self.refused(call),
            Done::MadeToWait | Done::SecondHalf => {}
        }
    }

    fn gate(&mut self, call: Call) -> &mut Gate {
        &mut self.gates[self.calls[call as usize].client]
    }

    fn dispatch(&mut self) {
        if let Some(until) = self.world.paused_until(self.agenda.now()) {
            if !std::mem::replace(&mut self.is_paused, true) {
                self.agenda.at(until, Event::Resumed);
            }
            return;
        }
        while let Some((call, turn)) = self.cores.start() {
            let half = 0.5 * self.calls[call as usize].cpu;
            let (done, ms) = match turn {
                Turn::Enter => self.decided(call, true, half),
                Turn::Look if self.gate(call).is_waiting(call) => {
                    let (done, ms) = self.decided(call, false, half);
                    (done, ms - WAIT_COST)
                }
                Turn::Look => (Done::MadeToWait, 0.0),
                Turn::Begin => (Done::FirstHalf, half),
                Turn::Finish => (Done::SecondHalf, half),
            };
            let cost = ms.max(0.0) / at(&self.world.speed, self.seconds()) * MS as f64;
            self.agenda.after(cost as Nanos, Event::Ran(call, done));
        }
        while let Some(call) = self.pool.start() {
            self.agenda.after((self.calls[call as usize].wait * MS as f64) as Nanos, Event::Served(call));
        }
    }

    fn decided(&mut self, call: Call, is_new: bool, half: f64) -> (Done, f64) {
        let answer = if is_new {
            let class = self.world.tells_class.then_some(self.calls[call as usize].class);
            let (level, patience) = (self.level(call), self.patience(call));
            self.gate(call).enter_within(call, class, level, patience)
        } else {
            self.gate(call).look(call)
        };
        match answer {
            Answer::Admitted => (Done::FirstHalf, half),
            Answer::Refused => (Done::Refused, SHED_COST),
            Answer::Queued { until } => {
                if let Some(until) = until {
                    self.agenda.at(until, Event::Expired(call));
                }
                (Done::MadeToWait, WAIT_COST)
            }
        }
    }

    fn class(&self, call: Call) -> &'a Class {
        &self.world.classes[self.calls[call as usize].class]
    }

    fn level(&self, call: Call) -> Level {
        if !self.world.by_usage {
            return self.class(call).level;
        }
        let State { class, tenant, .. } = self.calls[call as usize];
        self.tenants.level(&(class, tenant), Criticality::Critical)
    }

    fn patience(&self, call: Call) -> Option<Duration> {
        let deadline = self.calls[call as usize].called + self.class(call).deadline();
        self.world.tells_deadline.then(|| Duration::from_nanos(deadline.saturating_sub(self.agenda.now())))
    }

    fn woken(&mut self, call: Call) {
        if !self.gate(call).is_waiting(call) {
            return;
        }
        if self.is_shared() {
            self.ask(call, false);
        } else {
            self.cores.push((call, Turn::Look));
        }
    }

    fn ran(&mut self, call: Call, done: Done) {
        self.cores.done();
        let state = self.calls[call as usize];
        let class = &self.world.classes[state.class];
        match done {
            Done::Refused => self.refused(call),
            Done::FirstHalf => match class.fate {
                Fate::Fails { after } => self.agenda.after((after * MS as f64) as Nanos, Event::Waited(call)),
                Fate::Answered if class.is_pooled => self.pool.push(call),
                Fate::Answered => {
                    let wait = state.wait * at(&self.world.longer, self.seconds());
                    self.agenda.after((wait * MS as f64) as Nanos, Event::Waited(call));
                }
            },
            Done::MadeToWait => {}
            Done::SecondHalf => {
                let is_answer = class.fate == Fate::Answered;
                let outcome = if is_answer { Outcome::Success } else { Outcome::Overload };
                self.gate(call).leave_with(call, outcome);
                if is_answer && self.agenda.now() - state.called <= class.deadline() {
                    self.count(GOOD, call);
                    self.recovery.answered(state.called);
                    self.shares[state.client] += u64::from(self.is_measured(state.called));
                }
                self.over();
            }
        }
    }

    fn refused(&mut self, call: Call) {
        self.count(SHED, call);
        self.over();
    }

    fn over(&mut self) {
        if matches!(self.world.callers, Callers::Closed { .. }) {
            self.agenda.after(ROUND_TRIP, Event::Again);
        }
    }
}
