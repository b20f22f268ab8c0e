//! What a limit on calls in flight costs: `ShedLayer` beside tower's `ConcurrencyLimit`, its `LoadShed`, and tower-acc, over a
//! service that does nothing. The bare service is the floor.

use std::convert::Infallible;
use std::future::Ready;
use std::hint::black_box;

use backpressure_core::limit::{Bounds, Fast, Level};
use backpressure_tower::{Limiter, ShedLayer};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::{Empty, Full};
use support::{Flavor, Group, group};
use tokio::runtime::Runtime;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::util::ServiceFn;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_acc::Vegas;

mod support;

const CALLS: u64 = 32_000;
const TASKS: u64 = 64;

/// A number of calls, shared by a number of tasks, on a runtime.
struct Load<'c> {
    group: Group<'c>,
    runtime: Runtime,
    tasks: u64,
}

impl<'c> Load<'c> {
    fn new(c: &'c mut Criterion, function: &str, case: &str, flavor: Flavor, tasks: u64) -> Self {
        Self { group: group(c, function, case, CALLS), runtime: flavor.runtime(), tasks }
    }

    fn measure<S>(&mut self, name: &str, service: S)
    where
        S: Service<u64, Response = u64, Future: Send> + Clone + Send + 'static,
        S::Error: Send,
    {
        let calls = CALLS / self.tasks;
        self.group.bench_function(name, |b| {
            b.iter(|| {
                self.runtime.block_on(async {
                    if self.tasks == 1 {
                        return work(service.clone(), calls).await;
                    }
                    let tasks: Vec<_> = (0..self.tasks).map(|_| tokio::spawn(work(service.clone(), calls))).collect();
                    for task in tasks {
                        task.await.expect("no panic");
                    }
                });
            });
        });
    }
}

async fn work<S: Service<u64, Response = u64>>(mut service: S, calls: u64) {
    for n in 0..calls {
        if let Ok(service) = service.ready().await {
            black_box(service.call(n).await.is_ok());
        }
    }
}

/// Answers at once.
fn ready() -> impl Service<u64, Response = u64, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(|n: u64| std::future::ready(Ok(black_box(n))))
}

/// Lets the others have a turn first.
fn yielding() -> impl Service<u64, Response = u64, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(|n: u64| async move {
        tokio::task::yield_now().await;
        Ok(black_box(n))
    })
}

fn shedding(limiter: Limiter) -> ShedLayer {
    ShedLayer::builder().limiter(limiter).build()
}

fn waiting(limiter: Limiter) -> ShedLayer {
    ShedLayer::builder().limiter(limiter).wait().build()
}

fn fixed(slots: usize) -> Limiter {
    Limiter::fixed(slots).expect("a limit")
}

/// Never below where it starts: it is the cost that is compared, not the wisdom.
fn adaptive(start: usize) -> Limiter {
    let bounds = Bounds::new(start, 1000).and_then(|bounds| bounds.start(start)).expect("bounds");
    Limiter::builder().limit(Fast::new(bounds)).build()
}

fn fixed_limit<S>(load: &mut Load<'_>, slots: usize, service: S)
where
    S: Service<u64, Response = u64, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    load.measure("floor: the bare service", service.clone());
    if slots as u64 >= load.tasks {
        load.measure("backpressure ShedLayer", shedding(fixed(slots)).layer(service.clone()));
    }
    load.measure("backpressure ShedLayer, waiting", waiting(fixed(slots)).layer(service.clone()));
    load.measure("tower ConcurrencyLimit", ConcurrencyLimitLayer::new(slots).layer(service));
}

fn adaptive_limit<S>(load: &mut Load<'_>, slots: usize, service: S)
where
    S: Service<u64, Response = u64, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    load.measure("floor: the bare service", service.clone());
    load.measure("backpressure ShedLayer", shedding(adaptive(slots)).layer(service.clone()));
    load.measure("backpressure ShedLayer, waiting", waiting(adaptive(slots)).layer(service.clone()));
    let vegas = Vegas::builder().initial_limit(slots).build();
    load.measure("tower-acc", tower_acc::ConcurrencyLimit::new(service, vegas));
}

const FIXED: &str = "concurrency limit";
const ADAPTIVE: &str = "adaptive concurrency limit";
const FLAVORS: [Flavor; 2] = [Flavor::OneThread, Flavor::TwoWorkers];

fn one_task(c: &mut Criterion) {
    fixed_limit(&mut Load::new(c, FIXED, "one task", Flavor::OneThread, 1), 64, ready());
    adaptive_limit(&mut Load::new(c, ADAPTIVE, "one task", Flavor::OneThread, 1), 64, ready());
}

/// With a slot for each, and with a slot for every fourth.
fn many_tasks(c: &mut Criterion) {
    for flavor in FLAVORS {
        for slots in [64, 16] {
            let case = format!("64 tasks, {slots} slots, {flavor}");
            fixed_limit(&mut Load::new(c, FIXED, &case, flavor, TASKS), slots, yielding());
        }
        let case = format!("64 tasks, {flavor}");
        adaptive_limit(&mut Load::new(c, ADAPTIVE, &case, flavor, TASKS), 64, yielding());
    }
}

/// No slot is free.
fn refusal(c: &mut Criterion) {
    let mut load = Load::new(c, "refusal", "one task", Flavor::OneThread, 1);
    load.measure("floor: the bare service", ready());
    let layer = shedding(fixed(1));
    let _slot = layer.handle().limiter().try_admit(Level::default());
    load.measure("backpressure ShedLayer", layer.layer(ready()));
    let mut taken = ConcurrencyLimitLayer::new(1).layer(ready());
    let shedding = LoadShedLayer::new().layer(taken.clone());
    load.runtime.block_on(taken.ready()).expect("infallible");
    load.measure("tower LoadShed over ConcurrencyLimit", shedding);
}

/// The same over HTTP, where a request may bring a body.
fn refusal_over_http(c: &mut Criterion) {
    let mut load = Load::new(c, "refusal over HTTP", "one task", Flavor::OneThread, 1);
    let layer = shedding(fixed(1));
    let _slot = layer.handle().limiter().try_admit(Level::default());
    let lingers = layer.clone().into_http();
    load.measure(
        "backpressure ShedLayer, no_linger",
        over_http(layer.into_http().no_linger(), |_| Empty::<Bytes>::new()),
    );
    load.measure("backpressure ShedLayer", over_http(lingers.clone(), |_| Empty::<Bytes>::new()));
    load.measure(
        "backpressure ShedLayer, with a body",
        over_http(lingers, |_| Full::new(Bytes::from_static(b"hello"))),
    );
}

fn over_http<L, A, S>(
    layer: L,
    body: impl Fn(u64) -> A + Clone + Send + 'static,
) -> impl Service<u64, Response = u64, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    L: Layer<Inner<A>, Service = S>,
    S: Service<Request<A>, Response: Send, Error = Infallible, Future: Send> + Clone + Send + 'static,
    A: 'static,
{
    let inner: Inner<A> = service_fn(|_| std::future::ready(Ok(Response::new(Empty::new()))));
    let service = layer.layer(inner);
    service.map_request(move |n| Request::new(body(n))).map_response(|response| {
        drop(black_box(response));
        0
    })
}

type Answer = Result<Response<Empty<Bytes>>, Infallible>;
type Inner<A> = ServiceFn<fn(Request<A>) -> Ready<Answer>>;

criterion_group!(benches, one_task, many_tasks, refusal, refusal_over_http);
criterion_main!(benches);
