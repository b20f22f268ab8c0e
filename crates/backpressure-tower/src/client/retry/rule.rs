//! The rule of retries: whether, and after how long.

use std::time::Duration;

use super::backoff::Backoff;
use super::why::NotRetried;
use crate::client::Verdict;

/// What is done after a refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
    pub(super) longest_wait: Duration,
}

impl Rule {
    /// How long to wait before trying again, if at all, after `retries` retries. The jitter comes on top of what the service
    /// asks for, which may be the same for everybody.
    ///
    /// If not, the error says why, if the call is one that could be tried again.
    pub(super) fn wait(&self, answer: Verdict, retries: u32, random: f64) -> Result<Duration, Option<NotRetried>> {
        let Verdict::Refused { retry_after } = answer else { return Err(None) };
        let asked = retry_after.unwrap_or_default();
        if retries >= self.retries {
            return Err(Some(NotRetried::Retries));
        }
        if asked > self.longest_wait {
            return Err(Some(NotRetried::Wait));
        }
        Ok(asked.saturating_add(self.backoff.wait(retries, random)))
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self { retries: 2, backoff: Backoff::default(), longest_wait: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const REFUSED: Verdict = Verdict::Refused { retry_after: None };

    fn asked(retry_after: Duration) -> Verdict {
        Verdict::Refused { retry_after: Some(retry_after) }
    }

    #[test]
    fn only_a_refusal_is_tried_again_and_only_so_often() {
        let rule = Rule::default();
        assert_eq!(rule.wait(Verdict::Served, 0, 0.5), Err(None));
        assert_eq!(rule.wait(Verdict::RefusedForGood, 0, 0.5), Err(None));
        let waits = [0, 1, 2, u32::MAX].map(|retries| rule.wait(REFUSED, retries, 1.0));
        assert_eq!(
            waits,
            [Ok(SECOND / 20), Ok(SECOND / 10), Err(Some(NotRetried::Retries)), Err(Some(NotRetried::Retries))]
        );
    }

    #[test]
    fn the_wait_is_never_shorter_than_the_service_asks_for() {
        let rule = Rule::default();
        assert_eq!(rule.wait(asked(3 * SECOND), 0, 0.0), Ok(3 * SECOND));
        assert_eq!(rule.wait(asked(3 * SECOND), 0, 1.0), Ok(3 * SECOND + SECOND / 20));
        assert_eq!(
            rule.wait(asked(31 * SECOND), 0, 0.0),
            Err(Some(NotRetried::Wait)),
            "that is too long to be waited for"
        );
        let patient = Rule { longest_wait: Duration::MAX, ..rule };
        assert_eq!(patient.wait(asked(Duration::MAX), 0, 1.0), Ok(Duration::MAX), "d6");
    }
}
