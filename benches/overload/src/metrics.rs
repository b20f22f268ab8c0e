//! What came of it.

use crate::clock::{MS, Nanos, SECOND};
use crate::scenario::{OBJECTIVE, Scenario};

/// Goodput and limit are kept in bins of this length.
pub const BIN: Nanos = 100 * MS;

/// What is counted while a run goes on.
#[derive(Debug)]
pub struct Recording {
    from: Nanos,
    to: Nanos,
    offered: u64,
    shed: u64,
    good: u64,
    /// Of the calls that were answered, late ones too, in microseconds.
    latencies: Vec<u32>,
    /// Good answers by the time of the answer.
    good_by_bin: Vec<u32>,
    limit_by_bin: Vec<u32>,
}

/// The numbers of one run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Calls per second that callers made; one that was tried again counts once.
    pub offered: f64,
    /// Calls per second that were answered within the objective.
    pub goodput: f64,
    /// Attempts that were refused, as a share of the calls.
    pub shed: f64,
    /// Of the admitted, in milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// Seconds from the end of the disturbance until the goodput was back for good; `None` if that never was.
    pub recovery: Option<f64>,
    /// The limit at the end of every [`BIN`].
    pub limits: Vec<u32>,
}

impl Recording {
    pub fn new(scenario: &Scenario) -> Self {
        let bins = (scenario.to * SECOND as f64) as u64 / BIN + 1;
        Self {
            from: (scenario.from * SECOND as f64) as Nanos,
            to: (scenario.to * SECOND as f64) as Nanos,
            offered: 0,
            shed: 0,
            good: 0,
            latencies: Vec::new(),
            good_by_bin: vec![0; bins as usize],
            limit_by_bin: vec![0; bins as usize],
        }
    }

    fn counts(&self, called: Nanos) -> bool {
        (self.from..self.to).contains(&called)
    }

    pub fn offered(&mut self, called: Nanos) {
        self.offered += u64::from(self.counts(called));
    }

    pub fn shed(&mut self, called: Nanos) {
        self.shed += u64::from(self.counts(called));
    }

    /// A call that the caller made at `called`, perhaps for the second time at `tried`, is answered `now`.
    pub fn answered(&mut self, now: Nanos, tried: Nanos) {
        let latency = now - tried;
        let is_good = latency <= OBJECTIVE;
        if let Some(bin) = self.good_by_bin.get_mut((now / BIN) as usize) {
            *bin += u32::from(is_good);
        }
        if self.counts(tried) {
            self.good += u64::from(is_good);
            self.latencies.push((latency / 1000) as u32);
        }
    }

    pub fn limit(&mut self, now: Nanos, limit: usize) {
        if let Some(bin) = self.limit_by_bin.get_mut((now / BIN) as usize) {
            *bin = limit as u32;
        }
    }

    pub fn finish(mut self, scenario: &Scenario) -> Outcome {
        let seconds = scenario.to - scenario.from;
        self.latencies.sort_unstable();
        let quantile = |q: f64| match self.latencies.len() {
            0 => f64::NAN,
            n => f64::from(self.latencies[((n - 1) as f64 * q) as usize]) / 1000.0,
        };
        Outcome {
            offered: self.offered as f64 / seconds,
            goodput: self.good as f64 / seconds,
            shed: self.shed as f64 / (self.offered as f64).max(1.0),
            p50: quantile(0.5),
            p99: quantile(0.99),
            recovery: scenario.recovers_from.and_then(|from| self.recovery(scenario, from)),
            limits: self.limit_by_bin,
        }
    }

    /// Until every later second had at least 90 % of the goodput that load and speed at the end allow.
    fn recovery(&self, scenario: &Scenario, from: f64) -> Option<f64> {
        let allowed = scenario.load.at(scenario.to).min(crate::scenario::CAPACITY * scenario.speed.at(scenario.to));
        let per_second = (SECOND / BIN) as usize;
        let first = (from * per_second as f64) as usize;
        let last = (scenario.to * per_second as f64) as usize;
        let is_back = |bin: usize| {
            let second = &self.good_by_bin[bin..bin + per_second];
            f64::from(second.iter().sum::<u32>()) >= 0.9 * allowed
        };
        let not_yet = (first..last - per_second).rev().find(|&bin| !is_back(bin));
        match not_yet {
            None => Some(0.0),
            Some(bin) if bin + 2 * per_second >= last => None,
            Some(bin) => Some((bin + 1 - first) as f64 / per_second as f64),
        }
    }
}

impl Outcome {
    /// The medians of several runs, number by number; the limits are those of the first.
    pub fn median(runs: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(runs.iter().map(number).collect());
        Self {
            offered: of(|run| run.offered),
            goodput: of(|run| run.goodput),
            shed: of(|run| run.shed),
            p50: of(|run| run.p50),
            p99: of(|run| run.p99),
            recovery: Some(of(|run| run.recovery.unwrap_or(f64::INFINITY))).filter(|seconds| seconds.is_finite()),
            limits: runs.first().map(|run| run.limits.clone()).unwrap_or_default(),
        }
    }
}

/// The middle one, with what is no number as the largest.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
