//! Behind a `ShedLayer` that reads the gauge of the batcher.

use backpressure_core::State;
use backpressure_tower::{Action, Batch, Policy, ShedError, ShedLayer};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::support::{Act, Error, Target, Task, now_or_never, rig};

#[test]
fn s3_a_shed_layer_in_front_sheds_by_the_state_of_the_batcher() {
    let target = Target::default().on(0, Act::Hold);
    let mut rig = rig(&target, |builder| builder.capacity(10).watermarks(0.5, 0.8).max_items(2));
    let gauge = rig.batch.as_ref().unwrap().gauge();
    let policy = Policy::default().on(State::Critical, Action::Shed);
    let layer = ShedLayer::builder().watch(gauge.clone()).policy(policy).build();
    let front = ServiceBuilder::new().layer(layer).service(rig.handle());
    let _in_flight = rig.calls([1, 2]);
    rig.work();
    let _queued = rig.calls(11..19);
    assert_eq!(gauge.state(), State::Critical);
    let refused = (100..110).filter_map(|request| now_or_never(front.clone().oneshot(request)));
    let refused = refused.filter(
        |answer| matches!(answer, Err(ShedError::Overloaded(overloaded)) if overloaded.state() == State::Critical),
    );
    assert!(refused.count() >= 9, "all but a probe");
    target.let_go(0, Act::Answer);
    rig.work();
    assert_eq!(gauge.state(), State::Normal);
    let mut admitted = Task::new(front.oneshot(8));
    assert!(admitted.is_pending());
    rig.work();
    assert_eq!(admitted.output().expect("admitted"), 80);
    assert!(target.batches().iter().flatten().all(|request| !(101..110).contains(request)), "shed before the call");
}

#[tokio::test(start_paused = true)]
async fn a_limit_around_it_counts_calls_and_does_not_deadlock() {
    let inner = tower::service_fn(|batch: Vec<u32>| async move {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await; // tidy: paused clock
        Ok::<_, Error>(batch)
    });
    let layer = backpressure_tower::BatchLayer::builder().max_items(2).build().unwrap();
    let batch: Batch<u32, u32, Error> = tower::Layer::layer(&layer, inner);
    let mut front = ServiceBuilder::new().layer(ShedLayer::fixed(3).unwrap()).service(batch);
    let mut calls = tokio::task::JoinSet::new();
    for request in 0..10 {
        let call = front.ready().await.unwrap().call(request);
        calls.spawn(async move { call.await.map(|answer| assert_eq!(answer, request)).is_ok() });
    }
    let admitted = calls.join_all().await.into_iter().filter(|admitted| *admitted).count();
    assert_eq!(admitted, 3);
}
