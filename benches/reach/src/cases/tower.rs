//! Tower's middleware over a service that takes calls and answers none of them.

use std::convert::Infallible;
use std::future::{Pending, pending};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Service, ServiceExt, service_fn};

use crate::case::{Case, Setup, Tolerance};
use crate::reach::Reach;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("tower `Buffer(8)`", "the service", "a `ConcurrencyLimit` inside", |reach| {
            calls(reach, Buffer::new(service_fn(never), 8))
        }),
        case("tower `ConcurrencyLimit(8)`", "the service", "the limit", |reach| {
            calls(reach, ConcurrencyLimit::new(service_fn(never), 8))
        }),
        case("tower `Buffer(8)` over `ConcurrencyLimit(8)`", "the service and the buffer", "both numbers", |reach| {
            calls(reach, Buffer::new(ConcurrencyLimit::new(service_fn(never), 8), 8))
        }),
        case("tower `ConcurrencyLimit(8)` over `Buffer(8)`", "the service", "the limit", |reach| {
            calls(reach, ConcurrencyLimit::new(Buffer::new(service_fn(never), 8), 8))
        }),
    ]
}

pub fn never(_: Bytes) -> Pending<Result<(), Infallible>> {
    pending()
}

/// Makes calls as long as the service is ready, and holds what it answers with.
pub fn calls<S>(reach: Reach, mut service: S) -> Setup
where
    S: Service<Bytes> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: ToString + Send,
{
    let answers = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&answers);
    Box::pin(async move {
        tokio::spawn(async move {
            loop {
                match service.ready().await {
                    Ok(service) => answers.lock().unwrap().push(service.call(reach.item())),
                    Err(error) => return reach.lose(error),
                }
                if reach.count() {
                    return;
                }
                if reach.made().is_multiple_of(64) {
                    tokio::task::yield_now().await;
                }
            }
        });
        Ok(Box::new(held) as _)
    })
}
