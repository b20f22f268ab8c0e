//! What clients see of each way of refusing and of running out of time, and what our judges make of it.

mod grpc;
mod http;

use std::time::Duration;

use backpressure_tower::Verdict;

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
