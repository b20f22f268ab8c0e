//! What lingering costs in memory: nothing without a body, and little with one.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::limit::Level;
use backpressure_tower::{Linger, ShedLayer};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Empty;
use hyper::body::Bytes;
use tower::{Layer, Service, service_fn};

/// A body that never comes, and how many times it and others were asked.
struct Stalled(Arc<AtomicUsize>);

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

/// Whether this is answered at once.
fn is_refused<S: Service<Request<A>>, A>(service: &mut S, body: A) -> bool {
    let answer = pin!(service.call(Request::new(body)));
    answer.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

async fn empty<A>(_: Request<A>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(Response::new(Empty::new()))
}

#[test]
fn c6_a_refusal_without_a_body_allocates_what_it_would_without_lingering() {
    let layer = ShedLayer::fixed(1).unwrap();
    let _slot = layer.handle().limiter().try_admit(Level::default()).expect("a slot");
    let mut lingers = layer.clone().into_http().layer(service_fn(empty));
    let mut does_not = layer.into_http().no_linger().layer(service_fn(empty));
    let measure = |refuse: &mut dyn FnMut() -> bool| {
        let info = allocation_counter::measure(|| assert!((0..1000).all(|_| refuse())));
        (info.count_total, info.bytes_current)
    };
    let with = measure(&mut || is_refused(&mut lingers, Empty::<Bytes>::new()));
    let without = measure(&mut || is_refused(&mut does_not, Empty::<Bytes>::new()));
    assert_eq!(with, without);
    assert_eq!(with.1, 0);
}

#[test]
fn ten_thousand_uploads_that_linger_take_less_than_a_kibibyte_each_and_leave_nothing() {
    const UPLOADS: usize = 10_000;
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let _slot = handle.limiter().try_admit(Level::default()).expect("a slot");
    let linger = Linger::default().delay(Duration::ZERO).connections(usize::MAX);
    let mut service = layer.into_http().linger(linger).layer(service_fn(empty));
    let whole = allocation_counter::measure(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let lingering = allocation_counter::measure(|| {
            runtime.block_on(async {
                let polls = Arc::new(AtomicUsize::new(0));
                assert!((0..UPLOADS).all(|_| is_refused(&mut service, Stalled(Arc::clone(&polls)))));
                while polls.load(Ordering::Relaxed) < 2 * UPLOADS {
                    tokio::task::yield_now().await;
                }
            });
        });
        assert_eq!(handle.lingering().now, UPLOADS);
        let each = lingering.bytes_current / UPLOADS as i64;
        assert!(each < 1024, "{each} bytes");
    });
    // A few bytes of tokio's stay with the thread.
    assert!(whole.bytes_current < 1024, "{} bytes", whole.bytes_current);
    assert_eq!(handle.lingering().now, 0);
}
