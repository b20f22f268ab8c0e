//! Vegas: the queue, estimated from the delay.

use super::{Bounds, Limit, Window};

/// TCP Vegas: keeps the estimated queue `L·(1 − shortest/mean latency)` between 3 and 6 × log₁₀ of the limit.
///
/// The shortest latency ever seen stands for a call that met no queue. It is biased: the luckiest of thousands of calls
/// is faster than any queue can explain, so the limit stays lower than it could be. Every 30 × limit departures it is
/// forgotten, which lets a baseline that was too low go, and under constant load learns one that contains a queue.
///
/// L. S. Brakmo and L. L. Peterson, *TCP Vegas: End to End Congestion Avoidance on a Global Internet*, 1995, with the
/// constants of Netflix's concurrency-limits.
#[derive(Debug, Clone)]
pub struct Vegas {
    bounds: Bounds,
    limit: f64,
    /// The shortest latency since the last reset, in seconds.
    shortest: f64,
    departures: u64,
}

impl Vegas {
    /// After this many departures for each slot the baseline is measured again.
    const PROBE: f64 = 30.0;

    /// A limit within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, limit: bounds.initial() as f64, shortest: f64::INFINITY, departures: 0 }
    }

    fn next(&self, window: &Window, latency: f64) -> f64 {
        let step = self.limit.log10().max(1.0);
        let queue = (self.limit * (1.0 - self.shortest / latency)).ceil();
        if window.overloads > 0 {
            self.limit - step
        } else if !window.is_half_used(self.limit) {
            self.limit
        } else if queue <= step {
            self.limit + 6.0 * step
        } else if queue < 3.0 * step {
            self.limit + step
        } else if queue > 6.0 * step {
            self.limit - step
        } else {
            self.limit
        }
    }
}

impl Limit for Vegas {
    fn limit(&self) -> usize {
        self.bounds.round(self.limit)
    }

    fn update(&mut self, window: &Window) -> usize {
        let (Some(latency), Some(shortest)) = (window.latency, window.min_latency) else {
            return self.limit();
        };
        self.departures = self.departures.saturating_add(window.departures);
        if self.departures as f64 > Self::PROBE * self.limit {
            (self.shortest, self.departures) = (f64::INFINITY, 0);
        }
        self.shortest = self.shortest.min(shortest.as_secs_f64());
        self.limit = self.bounds.clamp(self.next(window, latency.as_secs_f64()));
        self.limit()
    }
}

impl Default for Vegas {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn window(shortest: u64, mean: u64) -> Window {
        let ms = Duration::from_millis;
        Window {
            departures: 30,
            peak: 1000,
            latency: Some(ms(mean)),
            min_latency: Some(ms(shortest)),
            ..Window::new(Instant::now(), ms(100))
        }
    }

    #[test]
    fn the_steps_follow_the_queue() {
        let bounds = Bounds::new(1, 1000).unwrap().start(100).unwrap();
        // At a limit of 100 the step is 2, and the queue is the percentage by which the mean exceeds the shortest.
        for (mean, limit) in [(100, 112), (102, 112), (104, 102), (107, 100), (113, 100), (115, 98)] {
            assert_eq!(Vegas::new(bounds).update(&window(100, mean)), limit, "mean {mean}");
        }
        let mut vegas = Vegas::new(bounds);
        assert_eq!(vegas.update(&Window { overloads: 1, ..window(100, 100) }), 98);
    }

    #[test]
    fn the_shortest_latency_is_kept_for_30_departures_a_slot() {
        let mut vegas = Vegas::new(Bounds::new(1, 10).unwrap().start(10).unwrap());
        vegas.update(&window(100, 100));
        for _ in 0..9 {
            vegas.update(&window(200, 200));
        }
        assert_eq!(vegas.shortest, 0.1);
        vegas.update(&window(200, 200));
        assert_eq!(vegas.shortest, 0.2);
    }
}
