//! What is offered, by whom, and what becomes of the server meanwhile.

use crate::clock::{MS, Nanos};
use crate::random::Spread;

/// What the server can do at full speed, per second.
pub const CAPACITY: f64 = 1000.0;
pub const CORES: usize = 2;
/// An answer is good within this time of the call.
pub const OBJECTIVE: Nanos = 100 * MS;
/// What it costs to say no, in milliseconds of CPU.
pub const SHED_COST: f64 = 0.02;
/// The part of any call, and of that cost, that is done before a call is made to wait.
pub const WAIT_COST: f64 = 0.01;

/// What a call costs whose work is done elsewhere.
pub const DOWNSTREAM_CPU: f64 = 0.2;

pub const EVEN: Spread = Spread::Even { mean: 2.0 };
pub const IO: Spread = Spread::Even { mean: 10.0 };
pub const HEAVY: Spread = Spread::Tail { shape: 1.5, min: 0.71, max: 200.0 };
pub const BIMODAL: Spread = Spread::Two { common: 1.0, rare: 0.1, other: 11.0 };

/// What a call does: half of its CPU time, something that it waits for, the other half.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Cpu {
        cpu: Spread,
        /// By how much each other call in flight makes the CPU time longer, as a share.
        retrograde: f64,
    },
    /// Little CPU, and a pool of `workers` elsewhere that take `IO` each and have a queue without bound.
    Downstream { workers: usize },
}

/// A value that changes at given seconds.
#[derive(Debug, Clone, Copy)]
pub struct Steps(pub &'static [(f64, f64)]);

impl Steps {
    pub fn at(&self, seconds: f64) -> f64 {
        self.0.iter().rev().find(|(from, _)| seconds >= *from).map_or(self.0[0].1, |(_, value)| *value)
    }
}

/// What callers do when they are not answered.
#[derive(Debug, Clone, Copy)]
pub struct Callers {
    /// In seconds. The server does not learn that a caller has left.
    pub timeout: f64,
    /// How often a call is tried again, some 50 ms after it was refused or given up.
    pub retries: u8,
}

#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub work: Work,
    /// Calls per second, over time.
    pub load: Steps,
    /// Speed of the CPU and of what is downstream, over time.
    pub speed: Steps,
    /// How many times as long as usual a call waits for something that is not busy, over time.
    pub wait: Steps,
    pub callers: Option<Callers>,
    /// Measured from here …
    pub from: f64,
    /// … to here, in seconds.
    pub to: f64,
    /// When the disturbance is over: how long from then until the goodput is back for good.
    pub recovers_from: Option<f64>,
}

/// As usual.
const FULL: Steps = Steps(&[(0.0, 1.0)]);
const PLAIN: Work = Work::Cpu { cpu: EVEN, retrograde: 0.0 };

const fn steady(name: &'static str, about: &'static str, work: Work, load: Steps) -> Scenario {
    Scenario {
        name,
        about,
        work,
        load,
        speed: FULL,
        wait: FULL,
        callers: None,
        from: 5.0,
        to: 25.0,
        recovers_from: None,
    }
}

/// The loads of the curves, as multiples of the capacity.
pub const LOADS: [(f64, Scenario); 10] = [
    (0.2, steady("steady 0.2", "a fifth of the capacity", PLAIN, Steps(&[(0.0, 200.0)]))),
    (0.5, steady("steady 0.5", "half of the capacity", PLAIN, Steps(&[(0.0, 500.0)]))),
    (0.8, steady("steady 0.8", "all that should be offered", PLAIN, Steps(&[(0.0, 800.0)]))),
    (0.9, steady("steady 0.9", "a little less than fits", PLAIN, Steps(&[(0.0, 900.0)]))),
    (1.0, steady("steady 1", "exactly the capacity", PLAIN, Steps(&[(0.0, 1000.0)]))),
    (1.2, steady("steady 1.2", "a little more than fits", PLAIN, Steps(&[(0.0, 1200.0)]))),
    (1.5, steady("steady 1.5", "half as much again", PLAIN, Steps(&[(0.0, 1500.0)]))),
    (2.0, steady("steady 2", "twice the capacity", PLAIN, Steps(&[(0.0, 2000.0)]))),
    (5.0, steady("steady 5", "five times the capacity", PLAIN, Steps(&[(0.0, 5000.0)]))),
    (10.0, steady("steady 10", "ten times the capacity", PLAIN, Steps(&[(0.0, 10_000.0)]))),
];

pub const DISTURBED: [Scenario; 13] = [
    Scenario {
        speed: Steps(&[(0.0, 0.1), (3.0, 0.2), (5.0, 0.4), (7.0, 0.6), (9.0, 0.8), (11.0, 1.0)]),
        from: 11.0,
        to: 41.0,
        recovers_from: Some(11.0),
        ..steady(
            "cold start",
            "2, and a tenth of the speed at first, all of it after 11 s",
            PLAIN,
            Steps(&[(0.0, 2000.0)]),
        )
    },
    Scenario {
        wait: Steps(&[(0.0, 1.0), (10.0, 4.0)]),
        to: 40.0,
        from: 10.0,
        recovers_from: Some(10.0),
        ..steady(
            "longer waits",
            "0.7, and each call waits for 40 ms rather than 10 from 10 s on",
            PLAIN,
            Steps(&[(0.0, 700.0)]),
        )
    },
    Scenario {
        from: 8.0,
        to: 28.0,
        recovers_from: Some(15.0),
        ..steady("spike", "0.8, and 5 from 10 s to 15 s", PLAIN, Steps(&[(0.0, 800.0), (10.0, 5000.0), (15.0, 800.0)]))
    },
    Scenario {
        speed: Steps(&[(0.0, 1.0), (10.0, 0.5)]),
        to: 30.0,
        from: 10.0,
        recovers_from: Some(10.0),
        ..steady("capacity halved", "0.8, and half the speed from 10 s on", PLAIN, Steps(&[(0.0, 800.0)]))
    },
    Scenario {
        speed: Steps(&[(0.0, 0.5), (15.0, 1.0)]),
        from: 15.0,
        to: 35.0,
        recovers_from: Some(15.0),
        ..steady("capacity doubled", "1.5, and half the speed until 15 s", PLAIN, Steps(&[(0.0, 1500.0)]))
    },
    steady(
        "downstream 3",
        "10 workers elsewhere, 10 ms each; 3 times what they can do",
        Work::Downstream { workers: 10 },
        Steps(&[(0.0, 3000.0)]),
    ),
    steady(
        "heavy tail 3",
        "CPU times spread like Pareto's, 0.7 ms to 200 ms",
        Work::Cpu { cpu: HEAVY, retrograde: 0.0 },
        Steps(&[(0.0, 3000.0)]),
    ),
    steady("heavy tail 0.7", "the same, with room", Work::Cpu { cpu: HEAVY, retrograde: 0.0 }, Steps(&[(0.0, 700.0)])),
    steady(
        "bimodal 3",
        "one call in ten takes 11 ms of CPU, the others 1 ms",
        Work::Cpu { cpu: BIMODAL, retrograde: 0.0 },
        Steps(&[(0.0, 3000.0)]),
    ),
    steady(
        "retrograde 3",
        "each call in flight makes the others slower by 0.2 %",
        Work::Cpu { cpu: EVEN, retrograde: 0.002 },
        Steps(&[(0.0, 3000.0)]),
    ),
    Scenario {
        speed: Steps(&[(0.0, 1.0), (10.0, 0.1), (15.0, 1.0)]),
        callers: Some(Callers { timeout: 0.5, retries: 3 }),
        from: 15.0,
        to: 35.0,
        recovers_from: Some(15.0),
        ..steady(
            "retry storm",
            "0.8, a tenth of the speed from 10 s to 15 s; three retries",
            PLAIN,
            Steps(&[(0.0, 800.0)]),
        )
    },
    Scenario {
        from: 5.0,
        to: 65.0,
        ..steady("1.5, first minute", "half as much again, at the beginning …", PLAIN, Steps(&[(0.0, 1500.0)]))
    },
    Scenario {
        from: 1740.0,
        to: 1800.0,
        ..steady("1.5, 30th minute", "… and half an hour later", PLAIN, Steps(&[(0.0, 1500.0)]))
    },
];

/// The scenario of that name.
#[cfg(test)]
pub fn named(name: &str) -> Option<Scenario> {
    LOADS.iter().map(|(_, scenario)| *scenario).chain(DISTURBED).find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_until_the_next() {
        let steps = Steps(&[(0.0, 1.0), (10.0, 0.5)]);
        assert_eq!([0.0, 9.9, 10.0, 99.0].map(|at| steps.at(at)), [1.0, 1.0, 0.5, 0.5]);
    }
}
