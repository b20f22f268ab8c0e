//! One batch: its attempts, retries and bisection.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use backpressure_core::{FlushReason, KeyId};

use crate::careful::Careful;
use crate::halves::{Halves, Part};
use crate::retries::{Delays, Retries};
use crate::verdict::{RETRY_AFTER_CAP, Verdict};

/// How a batch is copied.
pub(crate) type Copy<T> = fn(&[T]) -> Option<Careful<Vec<T>>>;

/// What is done about failures.
pub(crate) struct Policy<T> {
    pub(crate) delays: Careful<Option<Delays>>,
    pub(crate) bisect: bool,
    /// The longest wait that a flush target can ask for.
    pub(crate) retry_after_cap: Duration,
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
    /// The key of each item, where the order is kept by key.
    pub(crate) keys: Vec<KeyId>,
    pub(crate) reason: FlushReason,
    /// What has the same key and comes after it: it waits until nothing is left of this attempt.
    pub(crate) then: Option<Box<Attempt<T>>>,
    /// Whether it is what a flush left behind that delivered the others.
    is_rest: bool,
    retries: Retries,
}

/// An attempt that was handed to the flush target.
pub(crate) struct Dispatched<T> {
    pub(crate) batch: u64,
    pub(crate) offset: usize,
    pub(crate) count: usize,
    /// The keys of those of its items whose fate is not known yet, where the order is kept by key.
    pub(crate) keys: Vec<KeyId>,
    pub(crate) reason: FlushReason,
    pub(crate) then: Option<Box<Attempt<T>>>,
    pub(crate) started: Instant,
    pub(crate) copy: Option<Careful<Vec<T>>>,
    pub(crate) retries: Retries,
}

/// What happens to the items of a flush that failed as a whole.
pub(crate) enum Fate<T> {
    /// They are flushed again after the wait.
    Again(Duration, Attempt<T>),
    /// They are flushed again after the wait, in two halves.
    Halves(Duration, Attempt<T>, Attempt<T>),
    /// They are flushed again after the wait, the first half before the second, which this one knows.
    InTurn(Duration, Attempt<T>),
    /// They have failed for good.
    Over(Careful<Vec<T>>),
}

impl<T> Policy<T> {
    pub(crate) const NONE: Self =
        Self { delays: Careful::new(None), bisect: false, retry_after_cap: RETRY_AFTER_CAP, copy: None };

    pub(crate) fn attempt(&self, batch: u64, Part { items, keys }: Part<T>, reason: FlushReason) -> Attempt<T> {
        let retries = Retries::all(self.delays.as_ref());
        Attempt { batch, offset: 0, items, keys, reason, then: None, is_rest: false, retries }
    }

    /// Splits an attempt into what is sent and what is remembered of it.
    pub(crate) fn dispatch(&self, attempt: Attempt<T>, started: Instant) -> (Careful<Vec<T>>, Dispatched<T>) {
        let Attempt { batch, offset, items, keys, reason, then, retries, .. } = attempt;
        let copy = self.copy.and_then(|copy| copy(&items));
        let count = items.len();
        let dispatched = Dispatched { batch, offset, count, keys, reason, then, started, copy, retries };
        (items, dispatched)
    }

    /// What becomes of the `items` of a batch that failed as a whole. One of them may be the cause: where another try with
    /// all of them is of no use, it may be with some.
    pub(crate) fn judge(&self, items: Careful<Vec<T>>, verdict: Verdict, dispatched: &mut Dispatched<T>) -> Fate<T> {
        if items.is_empty() {
            return Fate::Over(items);
        }
        let offset = dispatched.offset;
        if let Some(least) = verdict.wait() {
            if let Some(delay) = dispatched.retries.draw() {
                let whole = Part { items, keys: mem::take(&mut dispatched.keys) };
                let retries = mem::take(&mut dispatched.retries);
                let then = dispatched.then.take();
                return Fate::Again(delay.max(least), Attempt { then, ..dispatched.attempt(offset, whole, retries) });
            }
        }
        if !self.bisect || items.len() == 1 {
            return Fate::Over(items);
        }
        let wait = verdict.wait().unwrap_or_default();
        let Halves { left, right, in_turn } = Part { items, keys: mem::take(&mut dispatched.keys) }.halve();
        let (middle, retries) = (left.items.len(), dispatched.retries.fork());
        let then = dispatched.then.take();
        let right = Attempt { then, ..dispatched.attempt(offset + middle, right, retries) };
        let retries = mem::take(&mut dispatched.retries);
        let left = dispatched.attempt(offset, left, retries);
        if in_turn {
            Fate::InTurn(wait, Attempt { then: Some(Box::new(right)), ..left })
        } else {
            Fate::Halves(wait, left, right)
        }
    }
}

impl<T> Attempt<T> {
    /// This one, and those that wait for it, one after the other.
    pub(crate) fn unchained(self) -> impl Iterator<Item = Self> {
        let mut next = Some(self);
        std::iter::from_fn(move || {
            let mut attempt = next.take()?;
            next = attempt.then.take().map(|then| *then);
            Some(attempt)
        })
    }

    /// Takes over the items of another attempt if both are the rest of one batch and were tried equally often. What failed
    /// as a whole stays by itself: it is suspected.
    pub(crate) fn join(&mut self, other: &mut Self) -> bool {
        let origin = |attempt: &Self| (attempt.is_rest, attempt.batch, attempt.retries.used());
        let waited_for = self.then.is_some() || other.then.is_some();
        let joins = self.is_rest && origin(self) == origin(other) && !waited_for;
        if joins {
            self.offset = self.offset.min(other.offset);
            self.items.append(&mut other.items);
            self.keys.append(&mut other.keys);
        }
        joins
    }
}

impl<T> Dispatched<T> {
    fn attempt(&self, offset: usize, Part { items, keys }: Part<T>, retries: Retries) -> Attempt<T> {
        Attempt { batch: self.batch, offset, items, keys, reason: self.reason, then: None, is_rest: false, retries }
    }

    /// The attempts at items of this batch that failed while others did not: those that wait equally long together.
    pub(crate) fn again(&mut self, waits: BTreeMap<Duration, Part<T>>) -> Vec<(Duration, Attempt<T>)> {
        let mut parts = waits.len();
        let attempts = waits.into_iter().map(|(wait, part)| {
            parts -= 1;
            let retries = if parts == 0 { mem::take(&mut self.retries) } else { self.retries.fork() };
            // What waits has one key, and so have these: then there is one part.
            let then = self.then.take();
            (wait, Attempt { is_rest: true, then, ..self.attempt(self.offset, part, retries) })
        });
        attempts.collect()
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
    use std::sync::Arc;

    use super::*;
    use crate::careful::copied;

    const MS: Duration = Duration::from_millis(1);

    fn policy(delays: Vec<Duration>, bisect: bool) -> Policy<u32> {
        let delays: Delays = Arc::new(move || Box::new(delays.clone().into_iter()));
        Policy { delays: Careful::new(Some(delays)), bisect, copy: Some(copied), ..Policy::NONE }
    }

    fn part(items: impl IntoIterator<Item = u32>) -> Part<u32> {
        Part { items: Careful::new(items.into_iter().collect()), keys: Vec::new() }
    }

    fn fail(policy: &Policy<u32>, attempt: Attempt<u32>, verdict: Verdict) -> Fate<u32> {
        let (_, mut dispatched) = policy.dispatch(attempt, Instant::now());
        let items = dispatched.copy.as_deref().and_then(|items| copied(items)).expect("copies are kept");
        policy.judge(items, verdict, &mut dispatched)
    }

    #[test]
    fn a_batch_is_retried_after_each_delay_and_then_given_up() {
        let policy = policy(vec![MS, 2 * MS], false);
        let attempt = policy.attempt(7, part([1, 2]), FlushReason::Full);
        let Fate::Again(delay, attempt) = fail(&policy, attempt, Verdict::Retry) else { panic!("a first retry") };
        assert_eq!((delay, attempt.batch), (MS, 7));
        let Fate::Again(delay, attempt) = fail(&policy, attempt, Verdict::Retry) else { panic!("a second retry") };
        assert_eq!(delay, 2 * MS);
        assert!(matches!(fail(&policy, attempt, Verdict::Retry), Fate::Over(items) if *items == [1, 2]));
    }

    #[test]
    fn bisection_isolates_the_poison_and_delivers_the_rest() {
        let policy = policy(vec![], true);
        for poison in 0..100 {
            let mut pending = vec![policy.attempt(0, part(0..100), FlushReason::Full)];
            let (mut delivered, mut failed, mut flushes) = (0, Vec::new(), 0);
            while let Some(attempt) = pending.pop() {
                flushes += 1;
                if !attempt.items.contains(&poison) {
                    delivered += attempt.items.len();
                    continue;
                }
                match fail(&policy, attempt, Verdict::Retry) {
                    Fate::Halves(Duration::ZERO, left, right) => pending.extend([left, right]),
                    Fate::Over(items) => failed.extend(items.release()),
                    _ => panic!("no retries are left, nothing waits, and there are no keys"),
                }
            }
            assert_eq!((delivered, failed), (99, vec![poison]));
            assert!(flushes <= 15, "2 × ceil(log2 100) + 1, but {flushes}");
        }
    }

    #[test]
    fn a_batch_that_asks_for_a_wait_waits_at_least_so_long_and_uses_up_its_retries() {
        let policy = policy(vec![2 * MS, 9 * MS], true);
        let after = Verdict::RetryAfter(5 * MS);
        let attempt = policy.attempt(0, part([1, 2]), FlushReason::Full);
        let Fate::Again(wait, attempt) = fail(&policy, attempt, after) else { panic!("a first retry") };
        assert_eq!(wait, 5 * MS);
        let Fate::Again(wait, attempt) = fail(&policy, attempt, after) else { panic!("a second retry") };
        assert_eq!(wait, 9 * MS);
        let Fate::Halves(wait, left, _) = fail(&policy, attempt, after) else { panic!("halves") };
        assert_eq!(wait, 5 * MS, "halves do not go sooner");
        assert!(matches!(fail(&policy, left, after), Fate::Over(items) if *items == [1]));
    }

    #[test]
    fn what_flushes_left_behind_is_joined_with_the_rest_of_its_own_batch_tried_equally_often() {
        let policy = policy(vec![MS; 3], false);
        let dispatched = |attempt| policy.dispatch(attempt, Instant::now()).1;
        let whole = |batch| policy.attempt(batch, part([1, 2, 3, 4]), FlushReason::Full);
        let rest = |mut dispatched: Dispatched<u32>, items: [u32; 2]| {
            dispatched.retries.draw();
            let parts = items.into_iter().zip(1..).map(|(item, wait)| (wait * MS, part([item])));
            dispatched.again(parts.collect()).into_iter().map(|(_, attempt)| attempt)
        };
        let mut attempts = rest(dispatched(whole(0)), [1, 3]);
        let (mut one, mut three) = (attempts.next().expect("one"), attempts.next().expect("three"));
        let mut others: Vec<_> = rest(dispatched(whole(1)), [1, 3]).chain([whole(0)]).collect();
        assert!(others.iter_mut().all(|other| !one.join(other)), "another batch, and a whole one");
        assert!(one.join(&mut three) && *one.items == [1, 3] && three.items.is_empty());
        let again = rest(dispatched(three), [3, 4]).next().expect("once more");
        assert!(!one.join(&mut { again }), "it has been tried once more");
    }

    #[test]
    fn a_batch_that_failed_for_good_is_halved_at_once_and_its_halves_have_the_retries() {
        let policy = policy(vec![MS, 2 * MS], true);
        let attempt = policy.attempt(0, part([1, 2]), FlushReason::Full);
        let Fate::Again(_, attempt) = fail(&policy, attempt, Verdict::Retry) else { panic!("a first retry") };
        let Fate::Halves(wait, left, right) = fail(&policy, attempt, Verdict::Final) else { panic!("halves") };
        assert_eq!((wait, right.offset), (Duration::ZERO, 1));
        for half in [left, right] {
            let Fate::Again(wait, half) = fail(&policy, half, Verdict::Retry) else { panic!("a second retry") };
            assert_eq!(wait, 2 * MS);
            assert!(matches!(fail(&policy, half, Verdict::Final), Fate::Over(items) if items.len() == 1));
        }
    }
}
