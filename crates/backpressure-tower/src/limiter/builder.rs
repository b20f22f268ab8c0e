//! The builder of a limiter.

use std::sync::Arc;

use backpressure_core::limit::{CoDel, Fast, Fixed, Limit};
use backpressure_core::{Clock, ConfigError};
use backpressure_rt::now;

use super::Limiter;
use super::shared::Shared;
use crate::random::Random;

/// Makes a [`Limiter`].
#[derive(Debug)]
#[must_use = "a builder does nothing by itself"]
pub struct LimiterBuilder {
    limit: Box<dyn Limit>,
    queue: Option<CoDel>,
    clock: Clock,
    seed: u64,
}

impl Limiter {
    /// One that is made to measure.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::new()
    }

    /// One that finds its limit by itself, with [`Fast`](backpressure_core::limit::Fast) and no queue.
    pub fn adaptive() -> Self {
        Self::builder().build()
    }

    /// One that has at most so many calls in flight, and no queue.
    ///
    /// # Errors
    ///
    /// Refuses 0.
    pub fn fixed(limit: usize) -> Result<Self, ConfigError> {
        Ok(Self::builder().limit(Fixed::new(limit)?).build())
    }
}

impl LimiterBuilder {
    pub(super) fn new() -> Self {
        Self { limit: Box::new(Fast::default()), queue: None, clock: now, seed: Random::new().next_f64().to_bits() }
    }

    /// How many calls may be in flight. Default [`Fast`], which finds out by itself.
    ///
    /// A limit below 1 counts as 1, one above 2³² as that. One of 262 144 or more is rounded down, by less than 1 in
    /// 16 384. It is asked once per window, by a call that comes or
    /// goes, under a lock that other calls may wait for: it must not block, nor call back. If it panics, so does that call,
    /// which gives its slot back.
    pub fn limit(self, limit: impl Limit + 'static) -> Self {
        Self { limit: Box::new(limit), ..self }
    }

    /// Lets calls that find no slot wait for one, by this rule. Default: they are refused at once.
    ///
    /// A short queue takes the small bursts that random arrivals are made of. It is no place for load that stays.
    pub fn queue(self, rule: CoDel) -> Self {
        Self { queue: Some(rule), ..self }
    }

    /// Where the time comes from. Default: tokio's clock, which is the system's unless it is paused.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Makes the spread of [`retry_after`](crate::Overloaded::retry_after) repeatable. Default: a seed of its own.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The limiter, with nothing in flight.
    pub fn build(self) -> Limiter {
        Limiter { shared: Arc::new(Shared::new(self.limit, self.queue, self.clock, self.seed)) }
    }
}
