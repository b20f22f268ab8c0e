//! What the layers tell about themselves.

use std::collections::HashMap;
use std::time::Duration;

use backpressure_core::{Metric, MetricValue, State};
use backpressure_metrics::{PartObservation, Registry};
use backpressure_tower::{RetryBudget, ShedLayer, ThrottleError, ThrottleLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::kit::{MS, now, pass, work_for};

/// The part's own numbers, by name and attribute.
fn own(part: &PartObservation) -> HashMap<String, f64> {
    let name = |metric: &Metric| {
        let name = metric.family.name.strip_prefix("backpressure.").unwrap();
        metric.attribute.map_or_else(|| name.to_owned(), |value| format!("{name} {value}"))
    };
    part.reading.metrics.iter().map(|metric| (name(metric), metric.as_f64())).collect()
}

/// How many calls were timed, and how long they took together.
fn call_times(part: &PartObservation) -> Option<(u64, Duration)> {
    let is_of_calls = |metric: &Metric| metric.family.name == "backpressure.call.duration";
    match part.reading.metrics().find(is_of_calls)?.value {
        MetricValue::Durations(durations) => Some((durations.count(), durations.sum())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_shed_layer_tells_its_limit_its_load_and_why_it_sheds_and_ends_when_it_has_drained() {
    let registry = Registry::new();
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    registry.add("front", handle.clone()).unwrap();
    let mut service = layer.layer(service_fn(|ms: u32| async move {
        work_for(ms).await;
        Ok::<_, &str>(())
    }));
    let first = tokio::spawn(service.ready().await.unwrap().call(10));
    pass(1).await;
    assert!(service.ready().await.unwrap().call(10).await.is_err());
    let seen = registry.observe(now());
    let part = seen.part("front").unwrap();
    assert_eq!((part.limit(), part.counts().unwrap().in_flight), (Some(1), 1));
    let told = own(part);
    assert_eq!((told["call.shed limit"], told["call.shed pressure"], told["call.probes"]), (1.0, 0.0, 0.0));
    assert!(!told.keys().any(|name| name.starts_with("call.would_shed")), "it is no shadow");
    assert_eq!(call_times(part), None, "no call has been answered");
    handle.force(Some(State::Critical));
    assert_eq!(registry.observe(now()).part("front").unwrap().state(), Some(State::Critical));
    handle.force(None);
    let drain = tokio::spawn(handle.drain(100 * MS));
    pass(1).await;
    assert!(!registry.observe(now()).part("front").unwrap().ended(), "a call is in flight");
    pass(20).await;
    assert!(first.await.unwrap().is_ok());
    drain.await.unwrap();
    let seen = registry.observe(now());
    let part = seen.part("front").unwrap();
    assert!(part.ended());
    assert_eq!(own(part)["call.shed limit"], 1.0, "what it counted stays");
    let (count, sum) = call_times(part).unwrap();
    assert!(count == 1 && sum >= 10 * MS, "{sum:?}");
    registry.add("front", ShedLayer::fixed(1).unwrap().handle()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_throttle_tells_what_became_of_the_calls_and_ends_when_only_the_registry_knows_it() {
    let registry = Registry::new();
    let layer = ThrottleLayer::new();
    registry.add("client", layer.clone()).unwrap();
    let mut service = layer.layer(service_fn(|ok: bool| async move { if ok { Ok(()) } else { Err("no") } }));
    drop(layer);
    let (mut refused, mut throttled) = (0.0, 0.0);
    assert!(service.ready().await.unwrap().call(true).await.is_ok());
    for _ in 0..100 {
        match service.ready().await.unwrap().call(false).await {
            Err(ThrottleError::Throttled { .. }) => throttled += 1.0,
            _ => refused += 1.0,
        }
    }
    let told = own(registry.observe(now()).part("client").unwrap());
    let calls = ["accepted", "refused", "throttled"].map(|outcome| told[&format!("throttle.calls {outcome}")]);
    assert_eq!(calls, [1.0, refused, throttled]);
    assert!(throttled > 0.0 && (0.5..1.0).contains(&told["throttle.rejection"]), "{told:?}");
    drop(service);
    assert!(registry.observe(now()).part("client").unwrap().ended());
}

#[tokio::test(start_paused = true)]
async fn a_retry_budget_tells_its_balance_and_what_it_denied() {
    let registry = Registry::new();
    let budget = RetryBudget::new(100 * MS, 0, 0.5).unwrap();
    registry.add("budget", budget.clone()).unwrap();
    (0..4).for_each(|_| budget.deposit());
    assert_eq!((0..3).filter(|_| budget.withdraw()).count(), 2);
    let told = own(registry.observe(now()).part("budget").unwrap());
    let told = ["balance", "calls", "retries", "denied"].map(|name| told[&format!("retry.{name}")]);
    assert_eq!(told, [0.0, 4.0, 2.0, 1.0]);
    budget.deposit();
    budget.deposit();
    assert_eq!(own(registry.observe(now()).part("budget").unwrap())["retry.balance"], 1.0);
    drop(budget);
    assert!(registry.observe(now()).part("budget").unwrap().ended());
}
