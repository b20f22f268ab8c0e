//! The limit that finds itself.

use std::time::Duration;

use super::probes::Probes;
use super::{Bounds, Limit, Window};
use crate::ConfigError;

/// Finds the number of calls in flight at which a part does all the work it can, and hardly any waits.
///
/// It needs to be told nothing about the part. From each [`Window`] it takes the throughput `X` and, by Little's law, the
/// time `T` a call is in flight. `T₀` is that time when nobody waits, so `X·T₀` calls are being worked on, and the others
/// are a queue:
///
/// ```text
///         in flight N ────────────────────────▶
///   ├──────── X·T₀ ────────┼──── queue Q ────┤
///   worked on               waiting somewhere inside; Q* = max(4, 0.4·X·T₀ + u·√(X·T₀)) of it is welcome,
///                           for it keeps the part busy through the gaps between arrivals
/// ```
///
/// * `u` is how uneven the work is: by how much the departures of a window differ from what was expected of it, in units of
///   its square root. It is about 0.3 where all calls are alike, 0.8 where they leave at random (Poisson), and more where
///   a few of them are very long. The more uneven, the longer the queue that bridges the gaps; and it grows with the root
///   of the work, not with the work. What is linear in `Q*` is there for what is not known of `T₀`.
/// * A queue of more than `Q*` brings the limit down towards `X·T₀ + Q*`: a quarter of the way, or half of it if the queue is
///   twice as long as that.
/// * A limit that is felt grows towards `X·T₀ + Q*`: all the way, but at most twofold, while the queue is below `Q*/4`, and a
///   quarter of it otherwise. Where there is no queue that means by 0.4 or more, window after window.
/// * A runtime that is late, by the time from a call to its first poll, brings it down by up to a quarter: the queue is in
///   the scheduler, where no call sees it.
/// * Overload in more than one call of twenty (an answer that says so, or a timeout) takes it × 0.7, once per window.
/// * A limit that is hardly used shrinks slowly, to four times what is used, and never grows: it has not been tried.
///
/// `T₀` is learned only when there is no queue to be learned with it: from windows that used less than half of the limit
/// and never reached it, and from any that beat it. Where there is none for ten seconds (one, to begin with) and ten
/// windows, a *probe* makes one: for two windows the limit is 0.8·X·T₀, and the second one is believed. If the part was as
/// busy as before, there was a queue even so, and the probe goes on from there with 0.7. That is what keeps the limit from
/// drifting: one that learns its own queue as normal allows a longer one, and so on, until nothing is answered in time.
///
/// Probes cost answers. Once two in a row, a second apart, have found what was known, the next one is a minute later. It is
/// sooner if the throughput is a tenth away by then, and by more than noise: what was confirmed holds for the part as it
/// was.
///
/// A part whose calls simply take longer than they used to looks like one with a queue. But its throughput falls as fast as
/// the limit is brought down, which is how the mistake is noticed: there is a probe at once.
///
/// A window in which nothing was answered teaches nothing, and leaves the limit where it is. Where a part of the calls was
/// cancelled, the limit grows by as much less: whether more of those would be answered nobody knows.
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
/// // 80 calls of 10 ms in 100 ms: all 8 slots were used, and none of them waited.
/// (window.departures, window.in_flight, window.peak, window.saturated) = (80, 8.0, 8, true);
/// assert_eq!(fast.update(&window), 13);
/// ```
#[derive(Debug, Clone)]
pub struct Fast {
    bounds: Bounds,
    target_delay: Duration,
    limit: f64,
    /// T₀ in seconds.
    baseline: Option<f64>,
    /// Departures per second while the limit is felt, evened out over some windows.
    throughput: f64,
    /// By how much the departures of a window are off, as a multiple of their square root.
    unevenness: f64,
    probes: Probes,
    probe: Option<Probe>,
    shrinking: Option<Load>,
}

/// A probe of the baseline.
#[derive(Debug, Clone, Copy)]
struct Probe {
    /// The limit to go back to.
    limit: f64,
    /// The share of X·T₀ that it lets in.
    depth: f64,
    /// The queue of before has drained: the window under way counts.
    is_drained: bool,
}

/// What a window was like.
#[derive(Debug, Clone, Copy)]
struct Load {
    in_flight: f64,
    throughput: f64,
}

impl Fast {
    /// More than noise.
    const MUCH: f64 = 2.0;
    /// The share of X·T₀ that a probe lets in, and one that goes on because the first did not get to the bottom of it.
    const SHALLOW: f64 = 0.8;
    const DEEP: f64 = 0.7;
    /// The share of departures up to which overloads are accidents.
    const ACCIDENTS: f64 = 0.05;
    /// An idle limit shrinks to this and no further.
    const IDLE: f64 = 8.0;
    /// How uneven departures are that have nothing to do with each other.
    const AT_RANDOM: f64 = 0.8;

    /// A limit within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            target_delay: Duration::from_millis(20),
            limit: bounds.initial() as f64,
            baseline: None,
            throughput: 0.0,
            unevenness: Self::AT_RANDOM,
            probes: Probes::new(),
            probe: None,
            shrinking: None,
        }
    }

    /// How late the runtime may be, by the mean time from a call to its first poll. Default 20 ms.
    ///
    /// It should be well below the latency that is promised, and above what a busy runtime needs to get round. More of it
    /// tolerates long polls; [`Duration::MAX`] switches the rule off.
    ///
    /// # Errors
    ///
    /// Refuses zero (`limit.target_delay`), which no runtime could meet.
    pub fn with_target_delay(mut self, target_delay: Duration) -> Result<Self, ConfigError> {
        if target_delay.is_zero() {
            return Err(ConfigError::new("limit.target_delay", "0", "above 0"));
        }
        self.target_delay = target_delay;
        Ok(self)
    }

    /// How long a call takes when none waits, as far as is known; `None` before the first departures.
    pub fn baseline(&self) -> Option<Duration> {
        self.baseline.map(|seconds| Duration::from_secs_f64(seconds.min(1e9)))
    }

    fn start_probe(&mut self, baseline: f64, depth: f64) {
        self.probe = Some(Probe { limit: self.limit, depth, is_drained: false });
        self.shrinking = None;
        self.limit = self.limit.min(depth * self.throughput * baseline);
    }

    /// One step of the probe, if one is under way. Answers whether the window is used up.
    fn probe(&mut self, window: &Window) -> bool {
        let Some(probe) = &mut self.probe else { return false };
        if !std::mem::replace(&mut probe.is_drained, true) {
            return true;
        }
        let Probe { limit, depth, .. } = *probe;
        self.limit = limit;
        self.probe = None;
        let Some((known, seen)) = self.baseline.zip(window.residence()) else {
            self.probes.disagreed(window);
            return true;
        };
        // A part that hardly felt it was busy all the time: there is a queue even so, and it takes another probe.
        let hardly_less = 0.6 + 0.4 * depth;
        if seen < hardly_less * known && window.throughput() > hardly_less * self.throughput {
            self.probes.disagreed(window);
            self.baseline = Some(seen);
            self.limit = self.limit.min(self.target(self.throughput, seen));
            self.start_probe(seen, Self::DEEP);
            return true;
        }
        self.baseline = Some(believed(known, seen));
        if (seen - known).abs() <= 0.25 * known {
            self.probes.agreed(window, self.throughput);
        } else {
            self.probes.disagreed(window);
        }
        true
    }

    /// Learns T₀ if there is no queue in `residence`, and answers it.
    fn learn(&mut self, window: &Window, residence: f64) -> f64 {
        let known = self.baseline.unwrap_or(residence);
        let weight = if !window.saturated && window.calls_in_flight() < 0.5 * self.limit {
            self.probes.spared(window);
            (window.departures as f64 / 200.0).min(0.2)
        } else if window.saturated && residence < known {
            if residence < known / Self::MUCH { 1.0 } else { 0.3 }
        } else {
            0.0
        };
        let baseline = known + weight * (residence - known);
        self.baseline = Some(baseline);
        baseline
    }

    /// Learns what a part does that is busy all the time.
    fn learn_throughput(&mut self, window: &Window) {
        if self.throughput > 0.0 {
            let expected = self.throughput * window.length.as_secs_f64();
            let off = (window.departures as f64 - expected).abs() / expected.sqrt();
            self.unevenness += 0.05 * (off.min(4.0) - self.unevenness);
            self.throughput += 0.3 * (window.throughput() - self.throughput);
            self.probes.look_at(window, self.throughput, self.unevenness / expected.sqrt());
        } else {
            self.throughput = window.throughput();
        }
    }

    fn must_probe(&mut self, window: &Window) -> bool {
        let is_due = self.probes.are_due(window);
        let is_mistaken = self.was_shrunk_in_vain(window);
        window.saturated && (is_due || (is_mistaken && self.probes.are_rested(window)))
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
    fn target(&self, throughput: f64, baseline: f64) -> f64 {
        let worked_on = throughput * baseline;
        worked_on + (0.4 * worked_on + self.unevenness * worked_on.sqrt()).max(4.0)
    }

    /// The limit after a window that was neither a probe's nor one of overload.
    fn next(&mut self, window: &Window, baseline: f64) -> f64 {
        let (limit, in_flight, throughput) = (self.limit, window.calls_in_flight(), window.throughput());
        let worked_on = throughput * baseline;
        let queue = in_flight - worked_on;
        let target = self.target(throughput, baseline);
        let welcome = target - worked_on;
        let shrinking = self.shrinking.take();
        if in_flight < 0.3 * limit && !window.saturated {
            let used = 4.0 * window.peak as f64;
            limit.min((0.95 * limit).max(Self::IDLE).max(used))
        } else if window.delay > self.target_delay {
            let share = self.target_delay.as_secs_f64() / window.delay.as_secs_f64();
            half_way(limit, in_flight.min(limit) * share.max(0.5))
        } else if queue > welcome {
            self.shrinking = shrinking.or(Some(Load { in_flight, throughput }));
            let step = if queue > 2.0 * welcome { 0.5 } else { 0.25 };
            limit + step * (target - limit).min(0.0)
        } else if window.saturated {
            let step = if queue < 0.25 * welcome { 1.0 } else { 0.25 };
            (limit + window.answered_share() * step * (target - limit).max(0.0)).min(2.0 * limit)
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
        if window.overloads as f64 > Self::ACCIDENTS * window.departures as f64 {
            let limit = self.probe.take().map_or(self.limit, |probe| probe.limit);
            self.shrinking = None;
            self.limit = 0.7 * limit;
        } else if self.probe(window) {
            // Its windows are there to be measured, not to be acted on.
        } else if let Some(residence) = window.residence().filter(|_| window.answered_share() > 0.0) {
            let baseline = self.learn(window, residence);
            if window.saturated {
                self.learn_throughput(window);
            }
            if self.must_probe(window) {
                self.start_probe(baseline, Self::SHALLOW);
            } else {
                self.limit = self.next(window, baseline);
            }
        }
        self.limit = self.bounds.clamp(self.limit);
        self.limit()
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

/// T₀ after a probe has `seen` a time: half-way, which evens out the noise, unless it is much longer than what was `known`.
fn believed(known: f64, seen: f64) -> f64 {
    if seen > Fast::MUCH * known { seen.min(4.0 * known) } else { half_way(known, seen) }
}
