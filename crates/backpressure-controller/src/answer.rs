//! The answer of a flush, on its way to whoever handles it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::careful::{Careful, guarded};
use crate::outcome::{FlushError, FlushOutcome};
use crate::verdict::Verdict;

/// What a flush came to.
pub(crate) enum Answer<T, E> {
    /// Everything was delivered but these.
    Partly(Failures<T, E>),
    Failed(Failure<E>),
}

/// Items that failed. Their errors and verdicts stand in the same places, apart from them, so that each is dropped by itself.
pub(crate) struct Failures<T, E> {
    pub(crate) items: Careful<Vec<T>>,
    pub(crate) errors: Careful<Vec<E>>,
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

/// Why items failed.
pub(crate) type Failure<E> = Careful<Option<FlushError<E>>>;

impl<T, E> Answer<T, E> {
    pub(crate) const PANICKED: Self = Self::Failed(Careful::new(Some(FlushError::Panicked)));
}

impl<T, E, R: Into<FlushOutcome<T, E>>> From<Result<R, E>> for Answer<T, E> {
    fn from(answer: Result<R, E>) -> Self {
        match answer {
            Ok(outcome) => Self::Partly(outcome.into().into()),
            Err(error) => Self::Failed(FlushError::Batch(error).into()),
        }
    }
}

impl<T, E> From<FlushOutcome<T, E>> for Failures<T, E> {
    fn from(outcome: FlushOutcome<T, E>) -> Self {
        let verdicts = outcome.failed.iter().map(|failed| failed.verdict).collect();
        let (items, errors) = outcome.failed.into_iter().map(|failed| (failed.item, failed.error)).unzip();
        Self { items: Careful::new(items), errors: Careful::new(errors), verdicts }
    }
}

impl<E> From<FlushError<E>> for Failure<E> {
    fn from(error: FlushError<E>) -> Self {
        Self::new(Some(error))
    }
}

/// Runs a flush to its answer. If it has answered, a panic in the drop of what is left of it takes nothing back.
pub(crate) async fn run<T, E, F>(flush: F) -> Answer<T, E>
where
    F: Future<Output: Into<Answer<T, E>>>,
{
    let mut flush = pin!(Some(flush));
    let answer = poll_fn(|cx| match flush.as_mut().as_pin_mut() {
        Some(running) => guarded(|| running.poll(cx).map(Into::into)).unwrap_or(Poll::Ready(Answer::PANICKED)),
        None => Poll::Ready(Answer::PANICKED),
    })
    .await;
    guarded(|| flush.set(None));
    answer
}
