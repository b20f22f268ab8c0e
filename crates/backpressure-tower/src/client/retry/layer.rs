//! The layer.

use std::sync::Arc;
use std::time::Duration;

use backpressure_core::ConfigError;
use tower_layer::Layer;

use super::backoff::Backoff;
use super::budget::RetryBudget;
use super::plan::Plan;
use super::rule::Rule;
use super::service::Retry;
use crate::client::ErrorsAreRefusals;
use crate::random::Random;

/// Tries refused calls again, within a [`RetryBudget`], after an exponential back-off with full jitter, and never sooner than
/// the service asks for.
///
/// Which outcomes are refusals is for a [`Judge`](crate::Judge) to say; to the default one every error is. What the caller gets
/// when no retry is left, or none affordable, is the last outcome, as it was; in a runtime without timers none is. The request is
/// cloned for each try.
///
/// Only what did not take effect is safe to be tried again. A call that was shed did not; of one that timed out nobody
/// knows. Have the judge answer [`Served`](crate::Verdict::Served) for outcomes after which a retry might do the work twice.
///
/// Put it outside a [`ThrottleLayer`](crate::ThrottleLayer), so that each try is subject to the throttle.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use backpressure_tower::{RetryBudget, RetryLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let calls = AtomicU32::new(0);
/// let client = ServiceBuilder::new().layer(RetryLayer::new(RetryBudget::default())).service(service_fn(|n: u32| {
///     let refuses = calls.fetch_add(1, Ordering::Relaxed) < 2;
///     async move { if refuses { Err("overloaded") } else { Ok(n * 2) } }
/// }));
/// assert_eq!(client.oneshot(21).await, Ok(42));
/// assert_eq!(calls.load(Ordering::Relaxed), 3);
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct RetryLayer<J = ErrorsAreRefusals> {
    plan: Plan<J>,
}

impl RetryLayer {
    /// At most two retries for a call, paid for out of `budget`.
    pub fn new(budget: RetryBudget) -> Self {
        let random = Arc::new(Random::new());
        Self { plan: Plan { budget, rule: Rule::default(), random, judge: ErrorsAreRefusals } }
    }
}

impl<J> RetryLayer<J> {
    /// Has a [`Judge`](crate::Judge) say which outcomes are refusals.
    pub fn judge<K>(self, judge: K) -> RetryLayer<K> {
        let Plan { budget, rule, random, .. } = self.plan;
        RetryLayer { plan: Plan { budget, rule, random, judge } }
    }

    /// At most so many retries after the first try. Default 2.
    pub fn retries(mut self, retries: u32) -> Self {
        self.plan.rule.retries = retries;
        self
    }

    /// The wait before a retry is random, up to `base`; twice that before the next, and so on, up to `ceiling`. Default 50 ms
    /// and 10 s.
    ///
    /// # Errors
    ///
    /// Refuses a `base` above the `ceiling`.
    pub fn backoff(mut self, base: Duration, ceiling: Duration) -> Result<Self, ConfigError> {
        self.plan.rule.backoff = Backoff::new(base, ceiling)?;
        Ok(self)
    }

    /// The longest wait that a service can ask for. One that asks to be left alone for longer is not tried again, since
    /// sooner would be against its will; the caller learns of it at once instead. The back-off comes on top. Default 30 s.
    pub fn longest_wait(mut self, longest_wait: Duration) -> Self {
        self.plan.rule.longest_wait = longest_wait;
        self
    }
}

impl<S, J: Clone> Layer<S> for RetryLayer<J> {
    type Service = Retry<S, J>;

    fn layer(&self, inner: S) -> Retry<S, J> {
        Retry::new(inner, self.plan.clone())
    }
}
