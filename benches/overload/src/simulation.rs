//! One run: a scenario, a policy, a seed.

use backpressure_core::ConfigError;

use crate::clock::{Agenda, MS, Nanos, SECOND};
use crate::gate::{Answer, Call, Gate};
use crate::metrics::{BIN, Outcome, Recording};
use crate::policy::Policy;
use crate::random::Random;
use crate::scenario::{CORES, DOWNSTREAM_CPU, IO, SHED_COST, Scenario, WAIT_COST, Work};
use crate::server::Pool;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A new call; the next one is scheduled.
    Arrival,
    /// A core has done what it did for this call.
    Ran(Call, Done),
    /// What the call waited for is there.
    Waited(Call),
    /// A worker downstream has done its part.
    Served(Call),
    /// The time of a call that waits for a slot is up.
    Expired(Call),
    GivenUp(Call),
    Retry(Call),
    Look,
    End,
}

/// What a call wants a core for.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// To be decided about, and to do the first half if it is admitted.
    Enter,
    /// The same after it has waited.
    Look,
    /// To do the second half.
    Finish,
}

/// What a core has done for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    FirstHalf,
    SecondHalf,
    Refused,
    /// Nothing yet.
    MadeToWait,
}

#[derive(Debug, Clone, Copy)]
struct State {
    tried: Nanos,
    /// Milliseconds of CPU and of waiting.
    cpu: f32,
    io: f32,
    retries: u8,
    /// Answered, refused or given up.
    is_over: bool,
}

#[derive(Debug)]
pub struct Simulation<'a> {
    scenario: &'a Scenario,
    gate: Gate,
    agenda: Agenda<Event>,
    arrivals: Random,
    work: Random,
    callers: Random,
    cores: Pool<(Call, Turn)>,
    downstream: Pool<Call>,
    calls: Vec<State>,
    recording: Recording,
}

impl<'a> Simulation<'a> {
    pub fn new(scenario: &'a Scenario, policy: Policy, seed: u64) -> Result<Self, ConfigError> {
        // The clock begins anew, and the limiter looks at it when it is made.
        let agenda = Agenda::new();
        let gate = Gate::new(policy.limiter(seed)?);
        let workers = match scenario.work {
            Work::Downstream { workers } => workers,
            Work::Cpu { .. } => 0,
        };
        Ok(Self {
            scenario,
            gate,
            agenda,
            arrivals: Random::new(seed, 1),
            work: Random::new(seed, 2),
            callers: Random::new(seed, 3),
            cores: Pool::new(CORES),
            downstream: Pool::new(workers),
            calls: Vec::new(),
            recording: Recording::new(scenario),
        })
    }

    pub fn run(mut self) -> Outcome {
        self.agenda.after(0, Event::Arrival);
        self.agenda.after(0, Event::Look);
        self.agenda.after((self.scenario.to * SECOND as f64) as Nanos + SECOND, Event::End);
        while let Some(event) = self.agenda.next() {
            match event {
                Event::Arrival => self.arrive(),
                Event::Ran(call, done) => self.ran(call, done),
                Event::Waited(call) => self.cores.push((call, Turn::Finish)),
                Event::Served(call) => {
                    self.downstream.done();
                    self.cores.push((call, Turn::Finish));
                }
                Event::Expired(call) => self.woken(call),
                Event::GivenUp(call) => self.failed(call),
                Event::Retry(call) => self.attempt(self.calls[call as usize]),
                Event::Look => self.look(),
                Event::End => break,
            }
            self.dispatch();
            self.gate.woken().into_iter().for_each(|call| self.woken(call));
            self.dispatch();
        }
        self.recording.finish(self.scenario)
    }

    fn seconds(&self) -> f64 {
        self.agenda.now() as f64 / SECOND as f64
    }

    /// Nanoseconds for milliseconds of work at the speed of now.
    fn cost(&self, ms: f64) -> Nanos {
        (ms / self.scenario.speed.at(self.seconds()) * MS as f64) as Nanos
    }

    fn arrive(&mut self) {
        let gap = self.arrivals.exponential(1.0 / self.scenario.load.at(self.seconds()));
        self.agenda.after((gap * SECOND as f64) as Nanos, Event::Arrival);
        self.recording.offered(self.agenda.now());
        let (cpu, io) = match self.scenario.work {
            Work::Cpu { cpu, .. } => (cpu.draw(&mut self.work), IO.draw(&mut self.work)),
            Work::Downstream { .. } => (DOWNSTREAM_CPU, IO.draw(&mut self.work)),
        };
        let (cpu, io) = (cpu as f32, io as f32);
        self.attempt(State { tried: 0, cpu, io, retries: 0, is_over: false });
    }

    fn attempt(&mut self, state: State) {
        let call = self.calls.len() as Call;
        self.calls.push(State { tried: self.agenda.now(), is_over: false, ..state });
        if let Some(callers) = self.scenario.callers {
            self.agenda.after((callers.timeout * SECOND as f64) as Nanos, Event::GivenUp(call));
        }
        self.cores.push((call, Turn::Enter));
    }

    /// The caller's side of a call that was refused or took too long.
    fn failed(&mut self, call: Call) {
        let state = &mut self.calls[call as usize];
        let Some(callers) = self.scenario.callers.filter(|_| !state.is_over) else { return };
        state.is_over = true;
        if state.retries < callers.retries {
            state.retries += 1;
            let pause = (0.5 + self.callers.unit()) * 50.0 * MS as f64;
            self.agenda.after(pause as Nanos, Event::Retry(call));
        }
    }

    fn dispatch(&mut self) {
        while let Some((call, turn)) = self.cores.start() {
            let half = 0.5 * f64::from(self.calls[call as usize].cpu) * self.drag();
            let (done, ms) = match turn {
                Turn::Enter => self.decided(call, Gate::enter, half),
                Turn::Look if self.gate.is_waiting(call) => {
                    let (done, ms) = self.decided(call, Gate::look, half);
                    (done, ms - WAIT_COST)
                }
                // Woken by a slot and by the clock: the first turn has dealt with it.
                Turn::Look => (Done::MadeToWait, 0.0),
                Turn::Finish => (Done::SecondHalf, half),
            };
            let cost = self.cost(ms);
            self.agenda.after(cost, Event::Ran(call, done));
        }
        while let Some(call) = self.downstream.start() {
            let cost = self.cost(f64::from(self.calls[call as usize].io));
            self.agenda.after(cost, Event::Served(call));
        }
    }

    /// What a core has to do for a call after the gate was asked, and for how many milliseconds.
    fn decided(&mut self, call: Call, ask: fn(&mut Gate, Call) -> Answer, half: f64) -> (Done, f64) {
        match ask(&mut self.gate, call) {
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

    fn woken(&mut self, call: Call) {
        if self.gate.is_waiting(call) {
            self.cores.push((call, Turn::Look));
        }
    }

    /// By what the calls in flight stretch each other's CPU time.
    fn drag(&self) -> f64 {
        match self.scenario.work {
            Work::Cpu { retrograde, .. } => 1.0 + retrograde * self.gate.in_flight() as f64,
            Work::Downstream { .. } => 1.0,
        }
    }

    fn ran(&mut self, call: Call, done: Done) {
        self.cores.done();
        let now = self.agenda.now();
        let state = self.calls[call as usize];
        match done {
            Done::Refused => {
                self.recording.shed(state.tried);
                self.failed(call);
            }
            Done::FirstHalf => match self.scenario.work {
                Work::Cpu { .. } => {
                    let wait = f64::from(state.io) * self.scenario.wait.at(self.seconds());
                    self.agenda.after((wait * MS as f64) as Nanos, Event::Waited(call));
                }
                Work::Downstream { .. } => self.downstream.push(call),
            },
            Done::MadeToWait => {}
            Done::SecondHalf => {
                self.calls[call as usize].is_over = true;
                self.gate.leave(call);
                self.recording.answered(now, state.tried);
            }
        }
    }

    fn look(&mut self) {
        self.recording.limit(self.agenda.now(), self.gate.limit());
        self.agenda.after(BIN, Event::Look);
    }
}
