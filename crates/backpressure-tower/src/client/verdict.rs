//! The verdict on the outcome of a call.

use std::time::Duration;

/// What the outcome of a call says about the service that was called, as a [`Judge`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did its work. An error of the application is work done: "not found" says nothing about load.
    Served,
    /// It refused, or could not be reached. Trying again may help, but no sooner than `retry_after`, if it says so.
    Refused {
        /// How long it asks to be left alone, as in `Retry-After` and `grpc-retry-pushback-ms`.
        retry_after: Option<Duration>,
    },
    /// It refused and asks not to be tried again, or the call broke off and may have taken effect.
    RefusedForGood,
}

/// Judges the outcomes of calls. A closure `Fn(&Result<T, E>) -> Verdict` is one.
pub trait Judge<T, E> {
    /// What `outcome` says.
    fn judge(&self, outcome: &Result<T, E>) -> Verdict;
}

impl<T, E, F: Fn(&Result<T, E>) -> Verdict> Judge<T, E> for F {
    fn judge(&self, outcome: &Result<T, E>) -> Verdict {
        self(outcome)
    }
}

/// The judge who knows nothing about the service: a response is served, an error is a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorsAreRefusals;

impl<T, E> Judge<T, E> for ErrorsAreRefusals {
    fn judge(&self, outcome: &Result<T, E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Served,
            Err(_) => Verdict::Refused { retry_after: None },
        }
    }
}
