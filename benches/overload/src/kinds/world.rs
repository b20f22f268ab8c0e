//! What a server is like, and what is asked of it.

use backpressure_core::limit::Level;

use crate::clock::{MS, Nanos, SECOND};
use crate::policy::Policy;
use crate::random::{Random, Spread};

/// What becomes of a call that gets as far as its wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    Answered,
    /// The backend is dead: the call ends as an overload, after so many milliseconds.
    Fails {
        after: f64,
    },
}

/// Calls of one nature.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Of all calls.
    pub share: f64,
    /// Milliseconds of CPU: half of it before the wait, half after.
    pub cpu: Spread,
    /// Milliseconds of waiting.
    pub wait: Spread,
    /// Whether the wait is one for a worker of the [`pool`](World::pool), and then for its work.
    pub is_pooled: bool,
    pub fate: Fate,
    /// How important its calls are.
    pub level: Level,
    /// How many tenants they come from.
    pub tenants: usize,
    /// An answer is good within this time, in milliseconds.
    pub deadline: f64,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Anybody, at random (Poisson), `page` calls at a time.
    Open { page: usize },
    /// So many, each with one call at a time, and the next as soon as that is answered or refused.
    Closed { connections: usize },
}

/// A value that changes at given seconds.
pub type Steps = Vec<(f64, f64)>;

/// A server and its load.
#[derive(Debug, Clone)]
pub struct World {
    pub cores: usize,
    pub classes: Vec<Class>,
    /// Workers of the pool that some calls need.
    pub pool: usize,
    pub callers: Callers,
    /// With more than one, each of them has the limiter at its own side, and the server has none.
    pub clients: usize,
    /// The limiter that is compared with all others.
    pub ours: Policy,
    /// Calls per second.
    pub load: Steps,
    /// Speed of the CPU.
    pub speed: Steps,
    /// By how much waits are longer than usual.
    pub longer: Steps,
    /// Nothing runs for so many seconds out of so many.
    pub pause: Option<(f64, f64)>,
    /// Whether calls bring their deadline with them.
    pub tells_deadline: bool,
    /// Whether calls bring their class with them.
    pub tells_class: bool,
    /// Whether levels follow from what tenants use, rather than from the class.
    pub by_usage: bool,
    /// Measured from here to there, in seconds.
    pub from: f64,
    pub to: f64,
}

pub fn at(steps: &Steps, seconds: f64) -> f64 {
    steps.iter().rev().find(|(from, _)| seconds >= *from).map_or(1.0, |(_, value)| *value)
}

impl World {
    /// A server of so many cores that does one thing, and is asked nothing yet.
    pub fn new(cores: usize, cpu: f64, wait: f64) -> Self {
        let class = Class {
            share: 1.0,
            cpu: Spread::Even { mean: cpu },
            wait: Spread::Even { mean: wait },
            is_pooled: false,
            fate: Fate::Answered,
            level: Level::default(),
            tenants: 1,
            deadline: 100.0 + 3.0 * (cpu + wait),
        };
        Self {
            cores,
            classes: vec![class],
            pool: 0,
            callers: Callers::Open { page: 1 },
            clients: 1,
            ours: Policy::Fast,
            load: Vec::new(),
            speed: vec![(0.0, 1.0)],
            longer: vec![(0.0, 1.0)],
            pause: None,
            tells_deadline: false,
            tells_class: false,
            by_usage: false,
            from: 5.0,
            to: 20.0,
        }
    }

    /// Another class, of so large a share; the first one has what is left.
    pub fn with(mut self, class: Class) -> Self {
        self.classes[0].share -= class.share;
        self.classes.push(class);
        self
    }

    /// So many times what it can do, steadily.
    pub fn at_load(mut self, times: f64) -> Self {
        self.load = vec![(0.0, times * self.capacity())];
        self
    }

    pub fn measured(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    /// Calls per second that it can do.
    pub fn capacity(&self) -> f64 {
        let of = |busy: f64, workers: usize| if busy > 0.0 { workers as f64 * 1000.0 / busy } else { f64::INFINITY };
        let cpu = self.classes.iter().map(|class| class.share * class.cpu.mean()).sum::<f64>();
        let pooled = self.classes.iter().filter(|class| class.is_pooled);
        let pool = pooled.map(|class| class.share * class.wait.mean()).sum::<f64>();
        of(cpu, self.cores).min(of(pool, self.pool))
    }

    pub fn draw_class(&self, random: &mut Random) -> usize {
        let mut lot = random.unit();
        let of_it = self.classes.iter().position(|class| {
            lot -= class.share;
            lot < 0.0
        });
        of_it.unwrap_or_default()
    }

    /// When the pause ends that is on at this time, if one is.
    pub fn paused_until(&self, now: Nanos) -> Option<Nanos> {
        let (length, every) = self.pause.map(|(length, every)| (nanos(length), nanos(every)))?;
        let since = now % every;
        (since < length && now >= every).then_some(now - since + length)
    }
}

impl Class {
    /// When an answer is too late, after the call.
    pub fn deadline(&self) -> Nanos {
        (self.deadline * MS as f64) as Nanos
    }
}

pub fn nanos(seconds: f64) -> Nanos {
    (seconds * SECOND as f64) as Nanos
}
