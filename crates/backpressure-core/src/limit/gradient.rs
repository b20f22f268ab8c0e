//! The gradient limit: recent latency against long-term latency.

use super::{Bounds, Limit, Window};

/// Netflix's Gradient2: the limit is multiplied by how much slower calls are than they used to be, 1.5 × being fine, and 4
/// are added for a queue.
///
/// What calls used to take is a mean over the last 600 windows, a minute or so, which follows the load: after some
/// minutes of overload the queue is what it is used to, and the limit drifts away. It goes by latency alone: where every call is
/// cut after the same time, nothing is slower than it used to be, and the limit does not fall.
///
/// After `Gradient2Limit` of Netflix's concurrency-limits, fed with means of windows instead of single calls.
#[derive(Debug, Clone)]
pub struct Gradient {
    bounds: Bounds,
    limit: f64,
    /// The mean latency of the last while, in seconds.
    long: f64,
    windows: u32,
}

impl Gradient {
    const TOLERANCE: f64 = 1.5;
    const QUEUE: f64 = 4.0;
    const SMOOTHING: f64 = 0.2;
    const LONG: f64 = 600.0;
    const WARMUP: u32 = 10;

    /// A limit within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, limit: bounds.initial() as f64, long: 0.0, windows: 0 }
    }

    fn learn(&mut self, short: f64) {
        self.windows = self.windows.saturating_add(1);
        let weight =
            if self.windows <= Self::WARMUP { 1.0 / f64::from(self.windows) } else { 2.0 / (Self::LONG + 1.0) };
        self.long += weight * (short - self.long);
        // Coming down from a long overload takes less than another minute.
        if self.long > 2.0 * short {
            self.long *= 0.95;
        }
    }
}

impl Limit for Gradient {
    fn limit(&self) -> usize {
        self.bounds.round(self.limit)
    }

    fn update(&mut self, window: &Window) -> usize {
        let Some(short) = window.latency.filter(|latency| !latency.is_zero()) else {
            return self.limit();
        };
        let short = short.as_secs_f64();
        self.learn(short);
        if window.is_half_used(self.limit) {
            let gradient = (Self::TOLERANCE * self.long / short).clamp(0.5, 1.0);
            let target = gradient * self.limit + Self::QUEUE;
            self.limit = self.bounds.clamp(self.limit + Self::SMOOTHING * (target - self.limit));
        }
        self.limit()
    }
}

impl Default for Gradient {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn update(gradient: &mut Gradient, ms: u64) -> usize {
        let latency = Some(Duration::from_millis(ms));
        gradient.update(&Window { latency, peak: 1000, ..Window::new(Instant::now(), Duration::from_millis(100)) })
    }

    #[test]
    fn it_grows_while_calls_are_as_fast_as_usual_and_shrinks_when_they_are_slower() {
        let mut gradient = Gradient::new(Bounds::new(1, 1000).unwrap().start(100).unwrap());
        for _ in 0..10 {
            update(&mut gradient, 10);
        }
        assert_eq!(gradient.limit(), 108, "0.8 a window");
        assert!(update(&mut gradient, 40) < 108);
    }

    #[test]
    fn it_gets_used_to_a_queue() {
        let mut gradient = Gradient::default();
        update(&mut gradient, 10);
        for _ in 0..3000 {
            update(&mut gradient, 100);
        }
        assert!(gradient.long > 0.09, "which is why it is not the default: {gradient:?}");
    }
}
