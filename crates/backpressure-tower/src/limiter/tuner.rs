//! The tuner: what is learned from the calls, once per window.

use std::time::{Duration, Instant};

use backpressure_core::limit::{Level, Limit, Sampler, Threshold, Window};

use super::levels::Levels;
use super::pace::{Pace, every};

/// After so many timed calls in a window it is looked at whether they are very many.
const FEW: u32 = 8;

/// So long after the last call of the most important class, slots are kept for it.
const RESERVED_FOR: Duration = Duration::from_secs(10);

/// Gathers windows and asks the limit what to make of them. It lives behind a lock that only timed calls take.
#[derive(Debug)]
pub(crate) struct Tuner {
    sampler: Sampler,
    /// When the window began, and before which it does not end.
    start: Instant,
    earliest: Option<Instant>,
    limit: Box<dyn Limit>,
    threshold: Threshold,
    cursor: usize,
    /// The sums at the last look, and those decided at the beginning of the window.
    sums: Sums,
    decided: u64,
    /// How many calls were timed and answered in the window, and how long they took together.
    answered: u32,
    latency: Duration,
    reserved_until: Option<Instant>,
}

/// What has happened since the limiter was made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    /// Calls that were admitted or refused.
    pub(crate) decided: u64,
    /// Calls that were admitted and have been answered, or cancelled.
    pub(crate) answered: u64,
    /// Answers that were overloads.
    pub(crate) overloads: u64,
    /// Calls that were admitted and cancelled.
    pub(crate) cancelled: u64,
}

/// What there is to see when a timed call comes or goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) now: Instant,
    /// Calls that are being worked on. A body that is still being sent is not.
    pub(crate) working: usize,
    /// Slots that work may have.
    pub(crate) room: usize,
    /// Whether somebody was refused for want of a slot.
    pub(crate) was_felt: bool,
    /// One call in so many is timed.
    pub(crate) every: usize,
    /// The call that goes, if it is timed.
    pub(crate) timed: Option<Timed>,
}

/// How long a call took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    pub(crate) latency: Duration,
    pub(crate) delay: Duration,
    /// Whether it was answered.
    pub(crate) is_usual: bool,
}

/// What follows from a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    pub(crate) limit: usize,
    /// Calls answered per second.
    pub(crate) throughput: f64,
    /// Seconds a call is in flight.
    pub(crate) residence: f64,
    pub(crate) delay: Duration,
    /// How long the calls took that were answered; `None` if none was.
    pub(crate) usual: Option<Duration>,
    pub(crate) every: usize,
    /// Whether the limit was felt.
    pub(crate) is_felt: bool,
}

impl Tuner {
    pub(crate) fn new(now: Instant, limit: Box<dyn Limit>) -> Self {
        Self {
            sampler: Sampler::new(now),
            start: now,
            earliest: None,
            limit,
            threshold: Threshold::new(),
            cursor: 0,
            sums: Sums::default(),
            decided: 0,
            answered: 0,
            latency: Duration::ZERO,
            reserved_until: None,
        }
    }

    /// Why the limit is what it is.
    pub(crate) fn explain(&self) -> String {
        self.limit.explain()
    }

    /// Another limit from now on. Answers the one before, to be dropped where no lock is held.
    pub(crate) fn replace(&mut self, limit: Box<dyn Limit>) -> Box<dyn Limit> {
        std::mem::replace(&mut self.limit, limit)
    }

    /// Takes a look, and a conclusion if a window is over. What has happened so far is asked for only if one may be.
    pub(crate) fn look(&mut self, look: &Look, levels: &Levels, sums: impl FnOnce() -> Sums) -> Option<Tuning> {
        if let Some(Timed { latency, delay, is_usual }) = look.timed {
            if is_usual {
                self.sampler.timed(latency, delay);
                self.answered = self.answered.saturating_add(1);
                self.latency = self.latency.saturating_add(latency);
            } else {
                self.sampler.failed(latency, delay);
            }
        }
        if look.was_felt {
            self.sampler.saturate();
        }
        self.sampler.in_flight(look.now, look.working, look.room);
        if self.earliest.is_some_and(|earliest| look.now < earliest) {
            return None;
        }
        self.conclude(look, levels, sums())
    }

    #[inline(never)]
    fn conclude(&mut self, look: &Look, levels: &Levels, sums: Sums) -> Option<Tuning> {
        let before = std::mem::replace(&mut self.sums, sums);
        let since = |now: u64, then: u64| now.saturating_sub(then);
        self.sampler.departed(since(sums.answered, before.answered), since(sums.overloads, before.overloads));
        self.sampler.cancelled(since(sums.cancelled, before.cancelled));
        let closed = self.sampler.close(look.now);
        self.earliest = self.sampler.earliest();
        let mut window = closed?;
        self.start = look.now;
        if look.every > 1 {
            by_littles_law(&mut window);
        }
        let (answered, latency) = (std::mem::take(&mut self.answered), std::mem::take(&mut self.latency));
        let tuning = Tuning {
            limit: self.limit.update(&window),
            throughput: window.throughput(),
            residence: window.residence().unwrap_or_default(),
            delay: window.delay,
            usual: latency.checked_div(answered),
            every: every(window.throughput(), Pace::of(&window, look.room)),
            is_felt: window.saturated,
        };
        let level = self.cut(&window, look, sums, levels);
        levels.cut_at(level, self.threshold.keeps_distance());
        self.decided = sums.decided;
        self.reserve(look.now, levels);
        Some(tuning)
    }

    /// One call in how many is to be timed from now on, if that cannot wait for the end of the window.
    pub(crate) fn hurry(&self, look: &Look) -> Option<usize> {
        if look.every > 1 && Pace::is_close(look.working, look.room, look.was_felt) {
            let so_far = self.throughput_so_far(look);
            return Some(every(so_far, Pace::Close)).filter(|&every| every < look.every);
        }
        // Every so often: what has departed in no time is very many a second.
        let is_time = look.timed.is_some() && self.answered >= FEW && self.answered.is_power_of_two();
        let slower = is_time.then(|| every(self.throughput_so_far(look), Pace::Hurried));
        slower.filter(|&every| every > look.every)
    }

    fn throughput_so_far(&self, look: &Look) -> f64 {
        let seconds = look.now.saturating_duration_since(self.start).as_secs_f64();
        if seconds > 0.0 { f64::from(self.answered) * look.every as f64 / seconds } else { f64::INFINITY }
    }

    fn cut(&mut self, window: &Window, look: &Look, sums: Sums, levels: &Levels) -> Level {
        levels.tell(&mut self.threshold, &mut self.cursor);
        let offered = sums.decided.saturating_sub(self.decided) as f64 / window.length.as_secs_f64();
        let utilization = if window.saturated { 1.0 } else { window.in_flight / look.room.max(1) as f64 };
        self.threshold.update(window.throughput(), offered, utilization)
    }

    fn reserve(&mut self, now: Instant, levels: &Levels) {
        if levels.has_called() {
            self.reserved_until = now.checked_add(RESERVED_FOR);
        } else if self.reserved_until.is_some_and(|until| now >= until) {
            self.reserved_until = None;
            levels.stop_reserving();
        }
    }
}

/// Where only a sample of the calls is looked at, what is in flight between two looks is not known. N = X·T with the mean of
/// the timed latencies says it well where calls come and go between two looks, and leaves out what is stuck. Of that there
/// is never less than was seen.
fn by_littles_law(window: &mut Window) {
    if let Some(latency) = window.latency {
        window.in_flight = window.in_flight.max(window.throughput() * latency.as_secs_f64());
    }
}
