//! What a capacity by time comes to, as a consumer drains.

mod drain_rate;

use std::time::{Duration, Instant};

use crate::capacity::Capacity;
use crate::config::BackpressureConfig;
use drain_rate::DrainRate;

/// Most items between two looks at the clock.
const MOST_UNTIMED: usize = 64;

/// Works out the [`Capacity`] by time from what a consumer drains.
///
/// The rate is measured in windows of a quarter of the duration, or of several of them if nobody looked for as long. The
/// estimate follows with a half-life of one window: an exponentially weighted average over unevenly spaced samples (A.
/// Eckner, *Algorithms for Unevenly Spaced Time Series*, 2012). A window in which the consumer had to wait for items says
/// how much came and not how fast the consumer is, so it may raise the estimate and never lowers it, as samples limited by
/// the application do in BBR (N. Cardwell et al., *BBR Congestion Control*, draft-ietf-ccwg-bbr, 2024).
///
/// * After a change of the rate, from ten times as much or from a tenth, the estimate has come within a tenth of it in eight
///   windows.
/// * A consumer that stands still brings the capacity to the floor, and not to 0; the first windows after it goes on bring
///   it back.
/// * Items that are queued already stay: a consumer that becomes ten times slower first has to drain them.
///
/// Time is an argument, and is needed once a window, not once an item.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::{Capacity, TimedCapacity};
///
/// let mut capacity = TimedCapacity::new(Capacity::within(Duration::from_secs(1)).floor(10));
/// let start = Instant::now();
/// assert_eq!(capacity.items(), 10);
/// capacity.observe(start, 10); // the consumer has items to drain from here on
/// assert!(capacity.drained(100, 10), "it is time to look at the clock");
/// assert_eq!(capacity.observe(start + Duration::from_millis(250), 10), Some(400));
/// ```
#[derive(Debug, Clone)]
pub struct TimedCapacity {
    capacity: Capacity,
    rate: DrainRate,
    items: usize,
    /// Items until the next look at the clock.
    until_look: usize,
}

impl TimedCapacity {
    /// The floor, while nothing is known.
    pub fn new(capacity: Capacity) -> Self {
        Self { rate: DrainRate::new(window(&capacity)), items: capacity.floor, capacity, until_look: 1 }
    }

    /// The capacity now.
    pub const fn items(&self) -> usize {
        self.items
    }

    /// How long a window is at least: a quarter of the duration. To look more often is of no use.
    pub fn window(&self) -> Duration {
        window(&self.capacity)
    }

    /// Takes another duration, floor and ceiling. What is known of the consumer is kept.
    pub fn reconfigure(&mut self, capacity: Capacity) {
        self.capacity = capacity;
        self.rate.set_window(window(&capacity));
        self.items = self.of_the_rate();
    }

    /// The consumer took this many items, and left so many in the queue. Answers whether it is time to
    /// [look at the clock](Self::observe): about four times a window, and after 64 items at the latest.
    #[inline]
    pub const fn drained(&mut self, items: usize, queued: usize) -> bool {
        self.rate.count(items);
        if queued == 0 {
            self.rate.ran_dry();
        }
        self.until_look = self.until_look.saturating_sub(items);
        self.until_look == 0
    }

    /// Looks at the clock, with so many items left in the queue. Answers the capacity if it is another one now.
    pub fn observe(&mut self, now: Instant, queued: usize) -> Option<usize> {
        let learned = self.rate.observe(now, queued);
        let per_window = self.rate.per_second().map_or(0.0, |rate| rate * self.window().as_secs_f64());
        self.until_look = ((per_window / 4.0) as usize).clamp(1, MOST_UNTIMED);
        if !learned {
            return None;
        }
        let items = self.of_the_rate();
        (std::mem::replace(&mut self.items, items) != items).then_some(items)
    }

    /// What takes the place of `before` under `config`, whose capacity becomes the one that it works out.
    #[doc(hidden)]
    pub fn succeeding(before: Option<&Self>, config: &mut BackpressureConfig) -> Option<Box<Self>> {
        let capacity = config.capacity_within()?;
        let mut timed = before.cloned().unwrap_or_else(|| Self::new(capacity));
        timed.reconfigure(capacity);
        config.set_capacity(timed.items);
        Some(Box::new(timed))
    }

    fn of_the_rate(&self) -> usize {
        let Some(rate) = self.rate.per_second() else { return self.capacity.floor };
        // A float that is too large becomes the largest number of items.
        ((rate * self.capacity.within.as_secs_f64()).round() as usize).clamp(self.capacity.floor, self.capacity.ceiling)
    }
}

fn window(capacity: &Capacity) -> Duration {
    (capacity.within / 4).max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests;
