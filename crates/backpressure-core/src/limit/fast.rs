//! The default adaptive limit.

use std::time::Duration;

use super::baseline::Baseline;
use super::failures::Failures;
use super::probes::Probes;
use super::pulse::Pulse;
use super::trial::{Load, Trials};
use super::why::{Evidence, Reason, Why};
use super::{Bounds, Limit, Window};
use crate::ConfigError;

/// Finds the number of calls in flight at which a part does all the work it can, and hardly any waits.
///
/// It needs to be told nothing about the part. It looks for a queue, not for latency as such: calls that differ by nature
/// (a cache hit and a report, a backend that is up and one that is down) make any mean go up and down, while a queue that
/// they all go through makes nearly all of them later by the same time. From each [`Window`] it takes the throughput `X`, the
/// calls in flight `N`, and by how much the [`Quantiles`](super::Quantiles) of the latencies are later than when nothing
/// waits: the delay `q` is the median of the five shifts. By Little's law `X·q` calls wait:
///
/// ```text
///         in flight N ────────────────────────▶
///   ├──────── N − X·q ───────┼──── queue X·q ────┤
///   worked on, asleep, stuck   waiting somewhere inside; Q* = max(4, 0.4·(N − X·q) + u·√(N − X·q)) of it is
///                              welcome, for it keeps the part busy through the gaps between arrivals
/// ```
///
/// * `u` is how uneven the work is: by how much the departures of a window differ from what was expected of it, in units of
///   its square root. It is about 0.3 where all calls are alike, 0.8 where they leave at random (Poisson), and more where
///   a few of them are very long.
/// * A limit that is felt while nothing queues is too low. It doubles once per window from the beginning, as long as more in
///   flight means more done or at least not later, and grows by 0.4 or more later on. What hangs in a dead backend is no
///   queue, so it does not close the door of the others.
/// * A queue of more than `Q*` at a limit that is felt brings it down towards `N − X·q + Q*`: a quarter of the way, or half
///   of it if the queue is twice as long as that. A limit that is not felt is not brought down.
/// * Are all calls later, or do they wait? Where a limit is felt all of a sudden, although no more comes out than before, it
///   is raised by half for a window. If half as much again is done, and it takes no longer, there is no queue, and these
///   latencies are the usual ones from then on.
/// * A runtime that is late, by the time from a call to its first poll, brings it down by up to a quarter.
/// * Overload in more than one call of twenty (an answer that says so, or a timeout) takes it × 0.7, once per window, if
///   calls are late as well, or if four of five fail. Where three cuts have mended nothing, that share is taken as given.
/// * A limit that is hardly used shrinks slowly, to twice the peak and no lower than 24, and never grows: it
///   has not been tried.
///
/// What is usual is learned only when there is no queue to be learned with it: from windows that used less than half of the
/// limit and did less than the part can, and from any that beat it. Where there is none for ten seconds (one, to begin with)
/// and ten windows, a *probe* makes one, provided that half of the limit is in use: the limit is 0.8 of what is worked on until
/// no more are in flight, and the window after that is believed. If the part was as busy as before, there was a queue even
/// so, and the probe goes on from there with 0.7. That is what keeps the limit from drifting: one that learns its own queue
/// as normal allows a longer one, and so on, until nothing is answered in time.
///
/// Probes cost answers. Once two in a row, a second apart, have found what was known, the next one is a minute later. It is
/// sooner if the throughput is a tenth away by then, and by more than noise: what was confirmed holds for the part as it
/// was.
///
/// A limit that has come down by 30 % and took most of as much throughput with it has taken away no queue: there is a probe
/// at once.
///
/// A window in which nothing was answered teaches nothing, and leaves the limit where it is. Where a part of the calls was
/// cancelled, the limit grows by as much less: whether more of those would be answered nobody knows.
///
/// What a limit cannot know is how late an answer may be. It sheds a burst that a patient caller would have waited for, unless
/// calls say how long they can wait, in which case the queue in front of it ([`CoDel`](super::CoDel)) keeps them.
///
/// After D. X. Wei, C. Jin, S. H. Low and S. Hegde, *FAST TCP: Motivation, Architecture, Algorithms, Performance*, IEEE/ACM
/// Transactions on Networking 14(6), 2006.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::limit::{Fast, Limit, Window};
///
/// let mut fast = Fast::default();
/// let mut window = Window::new(Instant::now(), Duration::from_millis(100));
/// // 160 calls of 10 ms in 100 ms: all 16 slots were used, and none of them waited.
/// (window.departures, window.in_flight, window.peak, window.saturated) = (160, 16.0, 16, true);
/// assert_eq!(fast.update(&window), 32);
/// ```
#[derive(Debug, Clone)]
pub struct Fast {
    bounds: Bounds,
    target_delay: Duration,
    limit: f64,
    baseline: Option<Baseline>,
    /// Seconds since the first window began, and how long calls took in it.
    age: f64,
    first: Option<Baseline>,
    /// The window before.
    last: Option<Load>,
    pulse: Pulse,
    failures: Failures,
    probes: Probes,
    probe: Option<Probe>,
    trials: Trials,
    shrinking: Option<Load>,
    /// No queue has been seen yet: the limit opens as fast as it can.
    is_opening: bool,
    why: Why,
}

/// A probe of the baseline.
#[derive(Debug, Clone, Copy)]
struct Probe {
    /// The limit to go back to.
    limit: f64,
    /// The share of what is worked on that it lets in.
    depth: f64,
    /// The queue of before has drained: the window under way counts.
    is_drained: bool,
    /// So many windows more may go by until it has.
    patience: u32,
}

impl Fast {
    /// More than noise.
    const MUCH: f64 = 2.0;
    /// The share of what is worked on that a probe lets in, and one that goes on because the first did not get to the
    /// bottom of it.
    const SHALLOW: f64 = 0.8;
    const DEEP: f64 = 0.7;
    /// An idle limit shrinks to this and no further.
    const IDLE: f64 = 24.0;

    /// A limit within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            target_delay: Duration::from_millis(20),
            limit: bounds.initial() as f64,
            baseline: None,
            age: 0.0,
            first: None,
            last: None,
            pulse: Pulse::new(),
            failures: Failures::new(),
            probes: Probes::new(),
            probe: None,
            trials: Trials::default(),
            shrinking: None,
            is_opening: true,
            why: Why::new(),
        }
    }

    /// A limit that knows how long calls usually take.
    pub(super) fn knowing(bounds: Bounds, usual: Baseline) -> Self {
        Self { baseline: Some(usual), first: Some(usual), is_opening: false, ..Self::new(bounds) }
    }

    /// How late the runtime may be, by the mean time from a call to its first poll. Default 20 ms.
    ///
    /// It should be well below the latency that is promised, and above what a busy runtime needs to get round. More of it
    /// tolerates long polls; [`Duration::MAX`] switches the rule off.
    ///
    /// # Errors
    ///
    /// Refuses zero (`target_delay`), which no runtime could meet.
    pub fn with_target_delay(mut self, target_delay: Duration) -> Result<Self, ConfigError> {
        if target_delay.is_zero() {
            return Err(ConfigError::new("target_delay", "0", "above 0"));
        }
        self.target_delay = target_delay;
        Ok(self)
    }

    /// How long a call usually takes when none waits, as far as is known; `None` before the first departures.
    pub fn baseline(&self) -> Option<Duration> {
        self.baseline.map(|baseline| Duration::from_secs_f64(baseline.usual().min(1e9)))
    }

    fn start_probe(&mut self, worked_on: f64, depth: f64) {
        self.probe = Some(Probe { limit: self.limit, depth, is_drained: false, patience: 5 });
        self.shrinking = None;
        self.limit = self.limit.min(depth * worked_on);
        self.why.reason = Reason::Probe;
    }

    /// One step of the probe, if one is under way. Answers whether the window is used up.
    fn probe(&mut self, window: &Window) -> bool {
        let Some(probe) = &mut self.probe else { return false };
        if !std::mem::replace(&mut probe.is_drained, true) {
            return true;
        }
        if window.peak as f64 > self.limit + 1.5 && probe.patience > 0 {
            probe.patience -= 1;
            return true;
        }
        let Probe { limit, depth, .. } = *probe;
        self.limit = limit;
        self.probe = None;
        let Some((known, seen)) = self.baseline.zip(Baseline::of(window)) else {
            self.probes.disagreed(window);
            return true;
        };
        // A part that hardly felt it was busy all the time: there is a queue even so, and it takes another probe.
        let hardly_less = 0.6 + 0.4 * depth;
        let (before, now) = (known.usual(), known.usual() + known.delay(&seen));
        if now < 1.2 * before && window.throughput() > hardly_less * self.pulse.throughput {
            self.probes.disagreed(window);
            self.baseline = Some(seen);
            let worked_on = self.pulse.throughput * seen.residence();
            self.limit = self.limit.min(self.target(worked_on));
            self.start_probe(worked_on, Self::DEEP);
            return true;
        }
        self.is_opening = now > Self::MUCH * before;
        self.baseline = Some(if self.is_opening { seen } else { known.towards(&seen, 0.5) });
        if (now - before).abs() <= 0.25 * before {
            self.probes.agreed(window, self.pulse.throughput);
        } else {
            self.probes.disagreed(window);
        }
        true
    }

    /// One step of the trial of a higher limit, if one is under way.
    fn judge_trial(&mut self, window: &Window, seen: &Baseline, now: &Load) {
        match self.trials.judge(window, now, self.pulse.unevenness) {
            Some(Ok(())) => {
                self.baseline = Some(*seen);
                self.is_opening = true;
                self.probes.disagreed(window);
            }
            Some(Err(limit)) => self.limit = self.limit.min(limit),
            None => {}
        }
    }

    /// Learns how long calls take if there is no queue in what was `seen`, and answers it.
    fn learn(&mut self, window: &Window, seen: &Baseline) -> Baseline {
        let first = *self.first.get_or_insert(if window.saturated { seen.of_the_first() } else { *seen });
        let known = self.baseline.unwrap_or(first);
        let delay = known.delay(seen);
        let is_calm = !window.saturated && window.calls_in_flight() < 0.5 * self.limit;
        // A part that does nearly all it can has a queue now and then, and one that has a queue has no room.
        let has_room = self.pulse.has_room(window.throughput()) && window.throughput() * delay < 4.0;
        let weight = if is_calm && (has_room || delay < 0.0) {
            self.probes.spared(window);
            (window.departures as f64 / 200.0).min(0.2)
        } else if window.saturated && delay < 0.0 {
            if delay < -known.usual() / Self::MUCH { 1.0 } else { 0.3 }
        } else {
            0.0
        };
        // Before the first calls have had the time to be long, only the short ones are known.
        let is_young = self.is_opening && self.age > 0.0 && self.age < 2.0 * first.usual();
        self.age += window.length.as_secs_f64();
        let weight = if is_young { 1.0 } else { weight };
        let baseline = known.towards(seen, weight);
        self.baseline = Some(baseline);
        baseline
    }

    /// Whether the limit has opened too far: with more in flight than before the part does no more, and it takes longer.
    fn is_open(&mut self, window: &Window, now: Load) -> bool {
        let last = self.last.replace(now);
        self.is_opening && window.saturated && last.is_some_and(|before| before.is_enough(&now, 0.1))
    }

    fn must_probe(&mut self, window: &Window) -> bool {
        let is_due = self.probes.are_due(window);
        let is_mistaken = self.was_shrunk_in_vain(window);
        let is_used = window.saturated && window.calls_in_flight() >= 0.5 * self.limit && !self.pulse.is_sudden();
        is_used && (is_due || (is_mistaken && self.probes.are_rested(window)))
    }

    /// Whether a limit that has come down by 30 % took most of as much throughput with it: then it was no queue that it
    /// took away.
    fn was_shrunk_in_vain(&mut self, window: &Window) -> bool {
        let Some(before) = self.shrinking else { return false };
        let left = window.calls_in_flight() / before.in_flight;
        if left > 0.7 {
            return false;
        }
        self.shrinking = None;
        window.throughput() < before.throughput * (1.0 - 0.7 * (1.0 - left))
    }

    /// What is worked on, and the queue that is welcome.
    fn target(&self, worked_on: f64) -> f64 {
        worked_on + (0.4 * worked_on + self.pulse.unevenness * worked_on.sqrt()).max(4.0)
    }

    /// The limit after a window that was neither a probe's nor one of overload.
    fn next(&mut self, window: &Window, worked_on: f64, seen: &Baseline, now: Load) -> f64 {
        let (limit, in_flight, throughput) = (self.limit, window.calls_in_flight(), window.throughput());
        let queue = in_flight - worked_on;
        let target = self.target(worked_on);
        let welcome = target - worked_on;
        let shrinking = self.shrinking.take();
        let target_delay = self.target_delay.as_secs_f64().max(0.1 * seen.usual());
        if in_flight < 0.3 * limit && !window.saturated {
            self.why.reason = Reason::Idle;
            let used = 2.0 * window.peak as f64;
            limit.min((0.95 * limit).max(Self::IDLE).max(used))
        } else if window.delay.as_secs_f64() > target_delay {
            self.why.reason = Reason::LateRuntime;
            let share = target_delay / window.delay.as_secs_f64();
            half_way(limit, in_flight.min(limit) * share.max(0.5))
        } else if queue > welcome && window.saturated {
            self.is_opening = false;
            // It has become full without anybody doing more: are calls just longer?
            let is_sudden = self.pulse.is_sudden() && self.pulse.is_no_more(throughput);
            if let Some(higher) = Some(now).filter(|_| is_sudden).and_then(|now| self.trials.begin(window, limit, now))
            {
                self.why.reason = Reason::Trial;
                return higher;
            }
            self.why.reason = Reason::Queue;
            self.shrinking = shrinking.or(Some(now));
            let step = if queue > 2.0 * welcome { 0.5 } else { 0.25 };
            limit + step * (target - limit).min(0.0)
        } else if window.saturated {
            self.why.reason = Reason::Room;
            if queue < 0.25 * welcome {
                let used = self.target(worked_on.max(window.peak as f64 - queue.max(0.0)));
                let higher = if self.is_opening { 2.0 * limit } else { used.clamp(limit, 2.0 * limit) };
                limit + window.answered_share() * (higher - limit)
            } else {
                limit + window.answered_share() * 0.25 * (target - limit).max(0.0)
            }
        } else {
            limit
        }
    }
}

impl Limit for Fast {
    fn limit(&self) -> usize {
        self.bounds.round(self.limit)
    }

    fn update(&mut self, window: &Window) -> usize {
        let before = self.limit();
        let seen = Baseline::of(window);
        let is_slow = match (self.baseline, &seen) {
            (Some(known), Some(seen)) => known.delay(seen) > 0.25 * known.usual(),
            _ => true,
        };
        let limit = self.probe.map_or(self.limit, |probe| probe.limit);
        if let Some(limit) = self.failures.next(window, limit, is_slow) {
            (self.probe, self.shrinking) = (None, None);
            self.trials.give_up();
            self.why.reason = Reason::Failures;
            self.limit = limit;
            // Or it would never be known whether calls are late.
            if let Some(seen) = seen.filter(|_| self.baseline.is_none()) {
                self.learn(window, &seen);
            }
        } else if self.probe(window) {
            // Its windows are there to be measured, not to be acted on.
        } else if let Some(seen) = seen.filter(|_| window.answered_share() > 0.0) {
            let now = Load::of(window, &seen);
            self.judge_trial(window, &seen, &now);
            let mut baseline = self.learn(window, &seen);
            if self.is_open(window, now) {
                // What the first calls took is nearest to the truth.
                baseline = self.first.unwrap_or(baseline);
                (self.baseline, self.is_opening) = (Some(baseline), false);
            }
            if let Some(noise) = self.pulse.learn(window) {
                self.probes.look_at(window, self.pulse.throughput, noise);
            }
            let queue = window.throughput() * baseline.delay(&seen);
            let worked_on = (window.calls_in_flight() - queue).max(0.0);
            self.why.evidence = Some(Evidence {
                in_flight: window.calls_in_flight(),
                throughput: window.throughput(),
                queue,
                delay: baseline.delay(&seen),
                usual: baseline.usual(),
                is_felt: window.saturated,
            });
            if self.must_probe(window) {
                self.is_opening = false;
                let service = (seen.residence() - baseline.delay(&seen)).max(0.0);
                self.start_probe(self.pulse.throughput * service, Self::SHALLOW);
            } else {
                self.limit = self.next(window, worked_on, &seen, now);
            }
        }
        self.limit = self.bounds.clamp(self.limit);
        self.why.changed(before, self.limit());
        self.limit()
    }

    fn explain(&self) -> String {
        format!("the limit is {}: {}", self.limit(), self.why)
    }
}

impl Default for Fast {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

fn half_way(from: f64, to: f64) -> f64 {
    0.5 * from + 0.5 * to
}
