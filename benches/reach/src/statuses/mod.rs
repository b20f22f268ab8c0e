//! What clients see of each way of refusing and of running out of time, and what our judges make of it.

mod grpc;
mod http;

use std::time::Duration;

use backpressure_core::DropReason;
use backpressure_tower::{ShedHandle, Verdict};

pub use grpc::table as grpc;
pub use http::table as http;

/// After this long somebody loses patience.
const SOON: Duration = Duration::from_millis(50);

/// A verdict, in words.
fn says(verdict: Verdict) -> String {
    match verdict {
        Verdict::Served => "served".into(),
        Verdict::Refused { retry_after: None } => "refused, may be tried again".into(),
        Verdict::Refused { retry_after: Some(_) } => "refused, may be tried again later".into(),
        Verdict::RefusedForGood => "refused, not to be tried again".into(),
    }
}

/// What a limiter that stood around the one call made of it. Both kinds of loss are reasons for an adaptive limit to shrink; a call
/// that was cancelled is none for it to rise.
fn counted(limiter: &ShedHandle) -> &'static str {
    let counts = limiter.gauge().snapshot().counts;
    let lost = |reason| counts.lost(reason) > 0;
    match () {
        () if lost(DropReason::Failed) => "overload",
        () if lost(DropReason::TimedOut) => "overload: timed out",
        () if lost(DropReason::Cancelled) => "cancelled",
        () if counts.delivered > 0 => "no overload",
        () => "–",
    }
}
