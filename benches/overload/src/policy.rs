//! Who decides how many calls are in flight.

use std::time::Duration;

use backpressure_core::ConfigError;
use backpressure_core::limit::{Aimd, Bounds, CoDel, Fast, Fixed, Gradient, Limit, Vegas};
use backpressure_tower::Limiter;

use crate::clock;

/// What [`Aimd`] has to be told: half of the objective, for it does not see the time before a call is admitted.
const TOO_LATE: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everybody enters.
    None,
    /// A static limit that somebody guessed.
    Guess(usize),
    Aimd,
    /// [`Aimd`](Self::Aimd) for one of several callers: it rises by so much a second.
    AimdOfMany,
    Vegas,
    Gradient,
    Fast,
}

impl Policy {
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Guess(4),
        Self::Guess(24),
        Self::Guess(240),
        Self::Aimd,
        Self::Vegas,
        Self::Gradient,
        Self::Fast,
    ];

    pub fn name(self) -> String {
        match self {
            Self::None => "none".into(),
            Self::Guess(limit) => format!("static {limit}"),
            Self::Aimd => "Aimd".into(),
            Self::AimdOfMany => "Aimd of many".into(),
            Self::Vegas => "Vegas".into(),
            Self::Gradient => "Gradient".into(),
            Self::Fast => "Fast".into(),
        }
    }

    fn limit(self, too_late: Duration) -> Result<Option<Box<dyn Limit>>, ConfigError> {
        let bounds = Bounds::default();
        Ok(match self {
            Self::None => None,
            Self::Guess(limit) => Some(Box::new(Fixed::new(limit)?)),
            Self::Aimd => Some(Box::new(Aimd::new(bounds, too_late)?)),
            Self::AimdOfMany => Some(Box::new(Aimd::new(bounds, too_late)?.with_rise_per_second(10)?)),
            Self::Vegas => Some(Box::new(Vegas::new(bounds))),
            Self::Gradient => Some(Box::new(Gradient::new(bounds))),
            Self::Fast => Some(Box::new(Fast::new(bounds))),
        })
    }

    pub fn limiter(self, seed: u64) -> Result<Option<Limiter>, ConfigError> {
        self.limiter_told(seed, TOO_LATE)
    }

    /// The same where [`Aimd`] is told that latencies above this are `too_late`.
    pub fn limiter_told(self, seed: u64, too_late: Duration) -> Result<Option<Limiter>, ConfigError> {
        let builder = |limit| Limiter::builder().limit(limit).queue(CoDel::new()).clock(clock::now).seed(seed).build();
        Ok(self.limit(too_late)?.map(builder))
    }
}
