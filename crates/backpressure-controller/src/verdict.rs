//! The verdict on a failure: retry, retry later, or give up.

use std::time::Duration;

/// What a flush target says about items that it did not deliver: whether another try is of use, and when.
///
/// It says so for each item, with [`FlushOutcome::fail`](crate::FlushOutcome::fail), or once for all by what it answers as an
/// error, with [`FlushBuilder::judge_by`](crate::FlushBuilder::judge_by). What nobody says anything about is retried.
///
/// ```
/// use std::time::Duration;
/// use backpressure_controller::{BackpressureController, FlushError, FlushOutcome, Verdict};
/// use backpressure_core::BackpressureConfig;
///
/// /// What the service answers for a row.
/// #[derive(Debug)]
/// enum Refusal {
///     Busy,
///     Throttled(Duration),
///     Malformed,
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = BackpressureConfig::builder().capacity(1_000).batch_items(3).build()?;
/// let controller = BackpressureController::builder(config)
///     .flush_fn(async |rows: Vec<&'static str>| {
///         let mut outcome = FlushOutcome::delivered();
///         for row in rows.into_iter().filter(|&row| row == "no row") {
///             outcome.fail(row, Refusal::Malformed, Verdict::Final);
///         }
///         Ok(outcome)
///     })
///     // What is said of errors that come without a verdict: those of whole batches, too.
///     .judge_by(|refusal| match refusal {
///         Refusal::Busy => Verdict::Retry,
///         Refusal::Throttled(wait) => Verdict::RetryAfter(*wait),
///         Refusal::Malformed => Verdict::Final,
///     })
///     .retry([Duration::from_secs(1), Duration::from_secs(10)])
///     .on_failed(|rows, error| match error.verdict() {
///         Verdict::Final => eprintln!("{rows:?} will never do: {error:?}"),
///         Verdict::Retry | Verdict::RetryAfter(_) => eprintln!("{rows:?} may do later: {error:?}"),
///     })
///     .spawn()?;
///
/// for row in ["a row", "no row", "another row"] {
///     controller.push(row).await?;
/// }
/// let began = tokio::time::Instant::now();
/// controller.flush().await?;
/// assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited for the row that will never do");
/// assert_eq!(controller.snapshot().counts.delivered, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Verdict {
    /// They are tried again as the [retry policy](crate::FlushBuilder::retry) says, as long as it lasts.
    #[default]
    Retry,
    /// The same, but not before this time has passed: the longer of the two waits counts. It is bounded by
    /// [`cap_retry_after`](crate::FlushBuilder::cap_retry_after).
    RetryAfter(Duration),
    /// They are not tried again, and nothing waits for them. Where batches are [bisected](crate::FlushBuilder::bisect), the
    /// halves of a batch that failed as a whole are.
    Final,
}

/// The longest wait that a flush target can ask for, unless the builder says otherwise.
pub(crate) const RETRY_AFTER_CAP: Duration = Duration::from_secs(30);

impl Verdict {
    pub(crate) fn capped(self, cap: Duration) -> Self {
        match self {
            Self::RetryAfter(wait) => Self::RetryAfter(wait.min(cap)),
            Self::Retry | Self::Final => self,
        }
    }

    /// The shortest wait before another try; `None` if there is to be none.
    pub(crate) const fn wait(self) -> Option<Duration> {
        match self {
            Self::Retry => Some(Duration::ZERO),
            Self::RetryAfter(wait) => Some(wait),
            Self::Final => None,
        }
    }
}
