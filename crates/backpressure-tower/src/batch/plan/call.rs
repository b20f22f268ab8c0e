//! A request on its way to a batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A function of the user's.
pub(crate) type Of<Req, T> = Arc<dyn Fn(&Req) -> T + Send + Sync>;

/// A call that waits for its batch.
pub(crate) struct QueuedCall<Req> {
    pub(crate) request: Req,
    pub(crate) weight: usize,
    /// From when on it is not worth sending.
    pub(crate) deadline: Option<Instant>,
}

/// Finds out what is to be known of a request.
pub(crate) struct Inspector<Req> {
    pub(crate) weigh: Option<Of<Req, usize>>,
    pub(crate) deadline: Option<Of<Req, Option<Instant>>>,
    /// What an answer takes at the least: so much before its deadline a request has to be sent.
    pub(crate) least_time: Duration,
}

impl<Req> QueuedCall<Req> {
    /// Whether it is too late to send it.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl<Req> Inspector<Req> {
    /// Runs the user's code, so never under a lock.
    pub(crate) fn inspect(&self, request: Req) -> QueuedCall<Req> {
        let weight = self.weigh.as_ref().map_or(1, |weigh| weigh(&request));
        let deadline = self.deadline.as_ref().and_then(|deadline| deadline(&request));
        let deadline = deadline.map(|deadline| deadline.checked_sub(self.least_time).unwrap_or(deadline));
        QueuedCall { request, weight, deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_to_be_sent_before_its_deadline_by_the_time_an_answer_takes() {
        let (now, ms) = (Instant::now(), Duration::from_millis(1));
        let deadline: Of<Duration, Option<Instant>> = Arc::new(move |left| Some(now + *left));
        let inspector = Inspector { weigh: None, deadline: Some(deadline), least_time: 2 * ms };
        assert!(inspector.inspect(2 * ms).is_expired(now));
        assert!(!inspector.inspect(3 * ms).is_expired(now));
    }
}
