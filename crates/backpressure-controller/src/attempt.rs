//! One batch on its way through tries, retries and bisection.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backpressure_core::FlushReason;

use crate::careful::{Careful, guarded};

/// The waits before each retry of a batch, from the beginning.
pub(crate) type Delays = Arc<dyn Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync>;

/// The waits that are left.
type DelaysLeft = Careful<Option<Box<dyn Iterator<Item = Duration> + Send>>>;

/// How a batch is copied.
pub(crate) type Copy<T> = fn(&[T]) -> Option<Careful<Vec<T>>>;

/// What is done about failures.
pub(crate) struct Policy<T> {
    pub(crate) delays: Careful<Option<Delays>>,
    pub(crate) bisect: bool,
    /// How a batch is copied before it is flushed, if copies are kept.
    pub(crate) copy: Option<Copy<T>>,
}

/// Items that are to be flushed together.
pub(crate) struct Attempt<T> {
    /// The number of the batch they were first taken in.
    pub(crate) batch: u64,
    /// How many items of that batch stood before them.
    pub(crate) offset: usize,
    pub(crate) items: Careful<Vec<T>>,
    pub(crate) reason: FlushReason,
    delays: DelaysLeft,
}

/// An attempt that was handed to the flush target.
pub(crate) struct Flight<T> {
    pub(crate) batch: u64,
    pub(crate) offset: usize,
    pub(crate) count: usize,
    pub(crate) reason: FlushReason,
    pub(crate) started: Instant,
    pub(crate) copy: Option<Careful<Vec<T>>>,
    delays: DelaysLeft,
}

/// What happens to items that failed.
pub(crate) enum Verdict<T> {
    /// They are flushed again after the wait.
    Again(Duration, Attempt<T>),
    /// They are flushed again at once, in two halves.
    Halves(Attempt<T>, Attempt<T>),
    /// They have failed for good.
    Final(Careful<Vec<T>>),
}

impl<T> Policy<T> {
    pub(crate) const NONE: Self = Self { delays: Careful::new(None), bisect: false, copy: None };

    pub(crate) fn attempt(&self, batch: u64, items: Vec<T>, reason: FlushReason) -> Attempt<T> {
        let delays = Careful::new(self.delays.as_ref().and_then(|delays| guarded(|| delays())));
        Attempt { batch, offset: 0, items: Careful::new(items), reason, delays }
    }

    /// Splits an attempt into what is sent and what is remembered of it.
    pub(crate) fn depart(&self, attempt: Attempt<T>, started: Instant) -> (Careful<Vec<T>>, Flight<T>) {
        let Attempt { batch, offset, items, reason, delays } = attempt;
        let copy = self.copy.and_then(|copy| copy(&items));
        let flight = Flight { batch, offset, count: items.len(), reason, started, copy, delays };
        (items, flight)
    }

    /// What becomes of `items` of a flight that failed; `whole` if the flush failed as a whole, so that one item of many
    /// may be the cause.
    pub(crate) fn judge(&self, items: Careful<Vec<T>>, whole: bool, flight: Flight<T>) -> Verdict<T> {
        let Flight { batch, offset, reason, mut delays, .. } = flight;
        if items.is_empty() {
            return Verdict::Final(items);
        }
        if let Some(delay) = delays.as_mut().and_then(|delays| guarded(|| delays.next())?) {
            return Verdict::Again(delay, Attempt { batch, offset, items, reason, delays });
        }
        if whole && self.bisect && items.len() > 1 {
            let mut left = items;
            let middle = left.len() / 2;
            let right = Careful::new(left.split_off(middle));
            let half = |offset, items| Attempt { batch, offset, items, reason, delays: Careful::default() };
            return Verdict::Halves(half(offset, left), half(offset + middle, right));
        }
        Verdict::Final(items)
    }
}

impl<T> fmt::Debug for Policy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("retries", &self.delays.is_some())
            .field("bisect", &self.bisect)
            .field("copies", &self.copy.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::careful::copied;

    const MS: Duration = Duration::from_millis(1);

    fn policy(delays: Vec<Duration>, bisect: bool) -> Policy<u32> {
        let delays: Delays = Arc::new(move || Box::new(delays.clone().into_iter()));
        Policy { delays: Careful::new(Some(delays)), bisect, copy: Some(copied) }
    }

    fn fail(policy: &Policy<u32>, attempt: Attempt<u32>) -> Verdict<u32> {
        let (_, flight) = policy.depart(attempt, Instant::now());
        let items = flight.copy.as_deref().and_then(|items| copied(items)).expect("copies are kept");
        policy.judge(items, true, flight)
    }

    #[test]
    fn a_batch_is_retried_after_each_delay_and_then_given_up() {
        let policy = policy(vec![MS, 2 * MS], false);
        let attempt = policy.attempt(7, vec![1, 2], FlushReason::Full);
        let Verdict::Again(delay, attempt) = fail(&policy, attempt) else { panic!("a first retry") };
        assert_eq!((delay, attempt.batch), (MS, 7));
        let Verdict::Again(delay, attempt) = fail(&policy, attempt) else { panic!("a second retry") };
        assert_eq!(delay, 2 * MS);
        assert!(matches!(fail(&policy, attempt), Verdict::Final(items) if *items == [1, 2]));
    }

    #[test]
    fn bisection_isolates_the_poison_and_delivers_the_rest() {
        let policy = policy(vec![], true);
        for poison in 0..100 {
            let mut pending = vec![policy.attempt(0, (0..100).collect(), FlushReason::Full)];
            let (mut delivered, mut failed, mut flushes) = (0, Vec::new(), 0);
            while let Some(attempt) = pending.pop() {
                flushes += 1;
                if !attempt.items.contains(&poison) {
                    delivered += attempt.items.len();
                    continue;
                }
                match fail(&policy, attempt) {
                    Verdict::Halves(left, right) => pending.extend([left, right]),
                    Verdict::Final(items) => failed.extend(items.release()),
                    Verdict::Again(..) => panic!("no retries are left"),
                }
            }
            assert_eq!((delivered, failed), (99, vec![poison]));
            assert!(flushes <= 15, "2 × ceil(log2 100) + 1, but {flushes}");
        }
    }

    #[test]
    fn items_that_failed_one_by_one_are_not_bisected() {
        let policy = policy(vec![], true);
        let (_, flight) = policy.depart(policy.attempt(0, vec![1, 2, 3], FlushReason::Full), Instant::now());
        assert!(
            matches!(policy.judge(Careful::new(vec![2, 3]), false, flight), Verdict::Final(items) if *items == [2, 3])
        );
    }
}
