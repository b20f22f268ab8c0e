//! A limit for the calls of one class among several that share a part.

use std::time::{Duration, Instant};

use super::baseline::Baseline;
use super::{Bounds, Fast, Limit, Sampler, Window};

/// Keeps the calls of one class from filling the limit that it shares with others.
///
/// A class is calls that do the same: those of one route, say. As long as nothing is wrong with it, it has no limit of its own. It
/// gets one in two cases, each of them only where the common limit is felt and the class has a quarter of it or more:
///
/// * It *fails*: nine of ten calls that leave are overloads, or none leaves in a window, which lasts at least a second then. What
///   it calls is dead, unless no other class is answered either. Its limit is a quarter of what it has in flight, then a quarter
///   of that, down to 2. Once half of its calls are answered the limit doubles once per window, up to the common one.
/// * It *queues by itself*: for two windows its calls are later than usual, and another class's are not. It waits for something
///   that only it needs, such as a pool. Its limit follows [`Fast`] then, from its own calls, until it has not been felt for
///   ten seconds. What is usual is learned only while the common limit is not felt.
///
/// It is a plain value: it is told what happens, and when.
#[derive(Debug, Clone)]
pub struct ClassLimit {
    sampler: Sampler,
    usual: Option<Baseline>,
    /// By how many seconds the calls of the last window that had enough of them were late.
    delay: Option<f64>,
    is_answered: bool,
    /// Whether it queued by itself in the window before.
    is_late: bool,
    bound: Bound,
}

#[derive(Debug, Clone)]
enum Bound {
    Free,
    Failing(f64),
    /// With the end of the last window in which it was felt.
    Queueing(Box<Fast>, Instant),
}

/// What is around a class when a window of it ends.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// The limit that all classes share, and whether it was felt.
    pub limit: usize,
    /// Whether it was felt.
    pub is_felt: bool,
    /// Whether most calls of some other class are answered.
    pub others_are_answered: bool,
    /// The least delay of any other class, as far as is known.
    pub least_delay: Option<Duration>,
}

impl ClassLimit {
    /// The share of departures that fail in a class that is failing, and in one that has come back.
    const FAILING: f64 = 0.9;
    const BACK: f64 = 0.5;
    /// As few calls as always pass.
    const LEAST: f64 = 2.0;
    /// So few departures say nothing.
    const FEW: u64 = 10;
    const CALM: Duration = Duration::from_secs(10);

    /// A class whose first window begins at `now`.
    pub const fn new(now: Instant) -> Self {
        Self {
            sampler: Sampler::new(now),
            usual: None,
            delay: None,
            is_answered: false,
            is_late: false,
            bound: Bound::Free,
        }
    }

    /// What is seen of its calls is told to this.
    pub const fn sampler(&mut self) -> &mut Sampler {
        &mut self.sampler
    }

    /// How many of its calls may be in flight; `None` while it has no limit of its own.
    pub fn limit(&self) -> Option<usize> {
        match &self.bound {
            Bound::Free => None,
            Bound::Failing(limit) => Some(*limit as usize),
            Bound::Queueing(fast, _) => Some(fast.limit()),
        }
    }

    /// Whether most of its calls were answered, when there were enough to tell.
    pub const fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// How late its calls were in the last window that had enough of them.
    pub fn delay(&self) -> Option<Duration> {
        self.delay.map(|delay| Duration::from_secs_f64(delay.clamp(0.0, 1e9)))
    }

    /// Ends the window if it is due, and learns from it. Answers whether it did.
    pub fn close(&mut self, now: Instant, around: Surroundings) -> bool {
        let Some(window) = self.sampler.close(now) else { return false };
        let is_large = window.calls_in_flight() >= 0.25 * around.limit as f64;
        let may_bind = is_large && around.is_felt && around.limit > 2 * Self::LEAST as usize;
        let failing = if window.departures == 0 { 1.0 } else { window.overloads as f64 / window.departures as f64 };
        self.is_answered = if window.departures >= Self::FEW { failing < Self::BACK } else { self.is_answered };
        self.bound = match std::mem::replace(&mut self.bound, Bound::Free) {
            Bound::Free if may_bind && failing >= Self::FAILING && around.others_are_answered => {
                Bound::Failing((0.25 * window.calls_in_flight()).max(Self::LEAST))
            }
            Bound::Free => self.judge_queue(&window, around, may_bind),
            Bound::Failing(limit) if failing >= Self::FAILING => Bound::Failing((0.25 * limit).max(Self::LEAST)),
            Bound::Failing(limit) if failing < Self::BACK && !window.saturated => Bound::Failing(limit),
            Bound::Failing(limit) if failing < Self::BACK => Bound::Failing(2.0 * limit),
            failing @ Bound::Failing(_) => failing,
            Bound::Queueing(mut fast, felt) => {
                fast.update(&window);
                let felt = if window.saturated { window.end } else { felt };
                Bound::Queueing(fast, felt)
            }
        };
        let is_over = match &self.bound {
            Bound::Free => false,
            Bound::Failing(limit) => *limit >= around.limit as f64,
            Bound::Queueing(_, felt) => window.end.saturating_duration_since(*felt) >= Self::CALM,
        };
        if is_over {
            self.bound = Bound::Free;
        }
        true
    }

    /// A class that is free: whether it waits for something of its own.
    fn judge_queue(&mut self, window: &Window, around: Surroundings, may_bind: bool) -> Bound {
        let Some(seen) = Baseline::of(window).filter(|_| window.departures >= Self::FEW) else { return Bound::Free };
        if !around.is_felt {
            self.usual = Some(self.usual.map_or(seen, |usual| usual.towards(&seen, 0.2)));
        }
        // Under a limit that is felt a class learns its own queue as usual, and each class another one.
        let Some(usual) = self.usual else { return Bound::Free };
        let delay = usual.delay(&seen);
        self.delay = Some(delay);
        let Some(least) = around.least_delay else { return Bound::Free };
        let own = delay - least.as_secs_f64();
        let queue = window.throughput() * own;
        let worked_on = (window.calls_in_flight() - queue).max(0.0);
        let is_queue = may_bind && own > usual.usual() && queue > (0.4 * worked_on).max(4.0);
        if is_queue && std::mem::replace(&mut self.is_late, is_queue) {
            let start = (window.calls_in_flight() as usize).max(Self::LEAST as usize);
            let bounds = Bounds::default().start(start).unwrap_or_default();
            return Bound::Queueing(Box::new(Fast::knowing(bounds, usual)), window.end);
        }
        self.is_late = is_queue;
        Bound::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const FULL: Surroundings =
        Surroundings { limit: 100, is_felt: true, others_are_answered: true, least_delay: Some(Duration::ZERO) };

    struct Bench {
        class: ClassLimit,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self { class: ClassLimit::new(now), now }
        }

        /// Four seconds with so many in flight, and so many departures in each, of which some are overloads, after so many
        /// milliseconds.
        fn see(
            &mut self,
            in_flight: usize,
            departures: u64,
            overloads: u64,
            ms: u32,
            around: Surroundings,
        ) -> Option<usize> {
            let (departures, overloads) = (4 * departures, 4 * overloads);
            let limit = self.class.limit();
            let sampler = self.class.sampler();
            sampler.in_flight(self.now, in_flight, limit.unwrap_or(usize::MAX));
            for n in 0..departures {
                if n < overloads {
                    sampler.failed(ms * MS, Duration::ZERO)
                } else {
                    sampler.timed(ms * MS, Duration::ZERO)
                }
            }
            sampler.departed(departures, overloads);
            self.now += 4000 * MS;
            assert!(self.class.close(self.now, around));
            self.class.limit()
        }
    }

    #[test]
    fn a_class_that_only_fails_is_held_down_to_two_and_comes_back() {
        let mut bench = Bench::new();
        assert_eq!(bench.see(60, 100, 10, 20, FULL), None, "one of ten fails");
        assert_eq!(bench.see(60, 20, 20, 3000, FULL), Some(15));
        let limits: Vec<_> = [15, 3, 2, 2].map(|in_flight| bench.see(in_flight, 20, 19, 3000, FULL)).into();
        assert_eq!(limits, [3, 2, 2, 2].map(Some));
        let back: Vec<_> = [2, 4, 8, 16, 32, 64].map(|in_flight| bench.see(in_flight, 100, 0, 20, FULL)).into();
        assert_eq!(back, [Some(4), Some(8), Some(16), Some(32), Some(64), None]);
    }

    #[test]
    fn a_class_of_which_nothing_comes_back_is_held_down() {
        let mut bench = Bench::new();
        assert_eq!(bench.see(24, 0, 0, 0, FULL), None, "it has less than a quarter");
        assert_eq!(bench.see(80, 0, 0, 0, Surroundings { is_felt: false, ..FULL }), None, "it is in nobody's way");
        assert_eq!(bench.see(80, 0, 0, 0, Surroundings { others_are_answered: false, ..FULL }), None, "all hang");
        assert_eq!(bench.see(80, 0, 0, 0, FULL), Some(20));
    }

    #[test]
    fn a_class_that_waits_for_something_of_its_own_has_a_limit_of_its_own() {
        let mut bench = Bench::new();
        assert_eq!(bench.see(60, 1000, 0, 60, FULL), None, "what is usual is not known yet");
        assert_eq!(bench.see(10, 1000, 0, 10, Surroundings { is_felt: false, ..FULL }), None);
        let everybody = Surroundings { least_delay: Some(50 * MS), ..FULL };
        assert_eq!(bench.see(60, 1000, 0, 60, everybody), None, "all classes are late");
        assert_eq!(bench.see(60, 1000, 0, 60, Surroundings { least_delay: None, ..FULL }), None, "there is no other");
        assert_eq!(bench.see(60, 1000, 0, 60, FULL), None, "it may be chance");
        assert_eq!(bench.see(60, 1000, 0, 60, FULL), Some(60));
        let limit = bench.see(60, 1000, 0, 60, FULL).unwrap();
        assert!((10..45).contains(&limit), "{limit}");
        let calm = (0..20).map(|_| bench.see(5, 500, 0, 10, FULL)).position(|limit| limit.is_none());
        assert!((1..=4).contains(&calm.unwrap()), "{calm:?}");
    }

    #[test]
    fn d6_k1_a_clock_that_goes_back_closes_nothing() {
        let mut class = ClassLimit::new(Instant::now() + 1000 * MS);
        assert!(!class.close(Instant::now(), FULL));
        let now = Instant::now() + Duration::from_secs(1 << 40);
        class.sampler().in_flight(now, usize::MAX, 0);
        assert!(class.close(now, Surroundings { limit: usize::MAX, ..FULL }));
    }
}
