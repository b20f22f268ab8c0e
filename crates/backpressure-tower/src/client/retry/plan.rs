//! The state that each call carries.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::RetryBudget;
use super::keep::Note;
use super::rule::Rule;
use super::why::{Counters, NotRetried};
use crate::client::Verdict;
use crate::random::Random;

#[derive(Debug, Clone)]
pub(super) struct Plan<J, K> {
    pub(super) budget: RetryBudget,
    pub(super) rule: Rule,
    pub(super) deadline: Option<Duration>,
    pub(super) shared: Arc<Shared>,
    pub(super) judge: J,
    pub(super) keep: K,
}

/// What all calls of a layer have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) random: Random,
    pub(super) counters: Counters,
}

impl<J, K> Plan<J, K> {
    /// When the deadline of the layer or the wait timeout of the request is over. The clock is read only if there is one.
    pub(super) fn until(&self, wait_timeout: Option<Duration>) -> Option<Instant> {
        let left = [self.deadline, wait_timeout].into_iter().flatten().min()?;
        Instant::now().checked_add(left)
    }

    /// How long to wait before another try, or why there is none, if there could have been one.
    pub(super) fn wait(
        &self,
        verdict: Verdict,
        retries: u32,
        until: Option<Instant>,
    ) -> Result<Duration, Option<NotRetried>> {
        let wait = self.rule.wait(verdict, retries, self.shared.random.next_f64())?;
        let is_too_late = until.is_some_and(|until| until.saturating_duration_since(Instant::now()) <= wait);
        if is_too_late { Err(Some(NotRetried::Deadline)) } else { Ok(wait) }
    }

    /// The outcome that the caller gets.
    pub(super) fn last<T, E>(&self, mut outcome: Result<T, E>, why: Option<NotRetried>) -> Result<T, E>
    where
        K: Note<T>,
    {
        if let Some(why) = why {
            self.shared.counters.not_retried(why);
            if let Ok(answer) = &mut outcome {
                self.keep.note(answer, why);
            }
        }
        outcome
    }
}
