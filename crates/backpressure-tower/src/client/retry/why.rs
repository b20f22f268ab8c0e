//! Why a refused call was not tried again, and how often that was.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a call that was refused was not tried again.
///
/// Where the answer is an HTTP response, of a layer [for HTTP](crate::RetryLayer::into_http) or
/// [for gRPC](crate::RetryLayer::into_grpc), it is among its extensions. The answers for gRPC also have it in their metadata, under
/// [`NotRetried::HEADER`], for a `tonic::Status` keeps no extensions. All are [counted](crate::RetryLayer::counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotRetried {
    /// It had all the [retries](crate::RetryLayer::retries) of a call.
    Retries,
    /// The [budget](crate::RetryBudget) was spent.
    Budget,
    /// The next try would have begun after the [deadline](crate::RetryLayer::deadline) of the layer or of the request.
    Deadline,
    /// The service asks for a longer wait than the [longest](crate::RetryLayer::longest_wait).
    Wait,
    /// The request's body is larger than what is [kept of it](crate::RetryLayer::max_body), so it could be sent only once.
    BodyTooLarge,
    /// The request cannot be repeated: its body broke off, or the function of [`clone_by`](crate::RetryLayer::clone_by) gave no copy.
    Unrepeatable,
    /// The runtime has no timer.
    NoTimer,
}

impl NotRetried {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Retries,
        Self::Budget,
        Self::Deadline,
        Self::Wait,
        Self::BodyTooLarge,
        Self::Unrepeatable,
        Self::NoTimer,
    ];

    /// Under which name it is in the metadata of a gRPC answer.
    pub const HEADER: &str = "backpressure-not-retried";

    /// Its name in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retries => "retries",
            Self::Budget => "budget",
            Self::Deadline => "deadline",
            Self::Wait => "wait",
            Self::BodyTooLarge => "body-too-large",
            Self::Unrepeatable => "unrepeatable",
            Self::NoTimer => "no-timer",
        }
    }
}

impl fmt::Display for NotRetried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the layers of one [`RetryLayer`](crate::RetryLayer) value did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryCounts {
    retries: u64,
    not_retried: [u64; NotRetried::ALL.len()],
}

impl RetryCounts {
    /// Tries after the first.
    pub const fn retries(&self) -> u64 {
        self.retries
    }

    /// Refused calls that were not tried again for this reason.
    pub const fn not_retried(&self, why: NotRetried) -> u64 {
        self.not_retried[why as usize]
    }
}

/// The same while it grows.
#[derive(Debug, Default)]
pub(super) struct Counters {
    retries: AtomicU64,
    not_retried: [AtomicU64; NotRetried::ALL.len()],
}

impl Counters {
    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn not_retried(&self, why: NotRetried) {
        self.not_retried[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> RetryCounts {
        RetryCounts {
            retries: self.retries.load(Ordering::Relaxed),
            not_retried: NotRetried::ALL.map(|why| self.not_retried[why as usize].load(Ordering::Relaxed)),
        }
    }
}
