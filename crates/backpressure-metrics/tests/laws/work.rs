//! The time that parts of every kind spend idle, busy and blocked, to the millisecond on a paused clock.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use backpressure_channel::Builder;
use backpressure_controller::BackpressureController;
use backpressure_core::BackpressureConfig;
use backpressure_sink::{BackpressureSink, ServiceSink};
use backpressure_stream::BackpressureStreamExt;
use backpressure_tower::{BatchLayer, ShedLayer};
use futures_util::{SinkExt, StreamExt};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::kit::{MS, config, pass, settle, spent, work_for};

/// A service that is ready while the switch says so, and takes so long.
#[derive(Clone)]
struct Switched {
    switch: Switch,
    takes: u32,
}

#[derive(Clone)]
struct Switch(Arc<Mutex<(bool, Option<Waker>)>>);

impl Switch {
    fn on() -> Self {
        Self(Arc::new(Mutex::new((true, None))))
    }

    fn set(&self, ready: bool) {
        let waker = std::mem::replace(&mut *self.0.lock().unwrap(), (ready, None)).1;
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Service<T> for Switched {
    type Response = ();
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        let mut switch = self.switch.0.lock().unwrap();
        switch.1 = Some(cx.waker().clone());
        if switch.0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _: T) -> Self::Future {
        let takes = self.takes;
        Box::pin(async move {
            work_for(takes).await;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_idle_while_its_receiver_waits_and_blocked_while_it_waits_for_the_next() {
    let (tx, mut rx) = Builder::<u32>::new(config(4)).build();
    let (next_tx, mut next_rx) = Builder::<u32>::new(config(1)).build();
    let (gauge, next) = (rx.gauge(), next_rx.gauge());
    gauge.feeds(&next);
    tokio::spawn(async move {
        while let Some(item) = rx.recv().await {
            work_for(10).await;
            next_tx.send(item).await.unwrap();
        }
    });
    pass(5).await;
    assert_eq!(spent(&gauge), [5, 0, 0]);
    (0..2).for_each(|item| assert!(tx.try_send(item).is_ok()));
    pass(10).await;
    assert_eq!(spent(&gauge), [5, 10, 0]);
    pass(10).await;
    assert_eq!(spent(&gauge), [5, 20, 0], "the second has just met a full channel");
    pass(7).await;
    assert_eq!(spent(&gauge), [5, 20, 7]);
    assert_eq!(next_rx.recv().await, Some(0));
    pass(3).await;
    assert_eq!(spent(&gauge), [8, 20, 7]);
    let mut items = Vec::new();
    assert_eq!(next_rx.recv_many(&mut items, 5).await, 1);
    pass(2).await;
    assert_eq!(spent(&next), [0, 5, 0], "whoever has received and does not wait is at work");
    assert!(futures_util::poll!(std::pin::pin!(next_rx.recv_many(&mut items, 5))).is_pending());
    pass(4).await;
    assert_eq!(spent(&next), [4, 5, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_is_as_busy_as_it_has_flushes_in_flight_and_blocked_while_its_target_is_not_ready() {
    let switch = Switch::on();
    let config = BackpressureConfig::builder().capacity(8).batch_items(1).build().unwrap();
    let target = Switched { switch: switch.clone(), takes: 8 };
    let controller = BackpressureController::builder(config).flush(target).concurrency(2).spawn().unwrap();
    let gauge = controller.gauge();
    gauge.time_work();
    pass(3).await;
    assert_eq!(spent(&gauge), [3, 0, 0]);
    controller.try_push(1).unwrap();
    pass(8).await;
    assert_eq!(spent(&gauge), [7, 4, 0], "half of its places");
    (0..2).for_each(|item| assert!(controller.try_push(item).is_ok()));
    pass(8).await;
    assert_eq!(spent(&gauge), [7, 12, 0]);
    switch.set(false);
    controller.try_push(3).unwrap();
    pass(5).await;
    assert_eq!(spent(&gauge), [7, 12, 5]);
    switch.set(true);
    pass(8).await;
    assert_eq!(spent(&gauge), [11, 16, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_waits_for_a_retry_is_blocked() {
    let config = BackpressureConfig::builder().capacity(8).batch_items(1).build().unwrap();
    let mut first = true;
    let flush = move |_: Vec<u32>| {
        let fails = std::mem::take(&mut first);
        async move { if fails { Err("not now") } else { Ok(()) } }
    };
    let controller = BackpressureController::builder(config).flush_fn(flush).retry([20 * MS]).spawn().unwrap();
    controller.gauge().time_work();
    controller.try_push(1).unwrap();
    settle().await;
    pass(20).await;
    pass(4).await;
    assert_eq!(spent(&controller.gauge()), [4, 0, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_batcher_is_busy_while_a_batch_is_out_and_blocked_while_the_service_is_not_ready() {
    let switch = Switch::on();
    let inner = Switched { switch: switch.clone(), takes: 10 };
    let inner = ServiceExt::<Vec<u32>>::map_response(inner, |()| vec![()]);
    let batch = ServiceBuilder::new().layer(BatchLayer::<u32, ()>::builder().build().unwrap()).service(inner);
    let gauge = batch.gauge();
    gauge.time_work();
    pass(2).await;
    assert_eq!(spent(&gauge), [2, 0, 0]);
    for expected in [[2, 10, 0], [2, 20, 0]] {
        let call = tokio::spawn(batch.clone().oneshot(1));
        pass(10).await;
        assert_eq!(spent(&gauge), expected);
        assert!(call.await.unwrap().is_ok());
    }
    switch.set(false);
    let call = tokio::spawn(batch.clone().oneshot(2));
    pass(6).await;
    assert_eq!(spent(&gauge), [2, 20, 6]);
    switch.set(true);
    pass(10).await;
    assert!(call.await.unwrap().is_ok());
    pass(1).await;
    assert_eq!(spent(&gauge), [3, 30, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_shed_layer_is_busy_while_calls_are_in_flight_and_blocked_while_they_wait_for_room_behind_it() {
    let (next_tx, mut next_rx) = Builder::<u32>::new(config(1)).build();
    let layer = ShedLayer::fixed(4).unwrap();
    let gauge = layer.handle().gauge();
    gauge.feeds(&next_rx.gauge());
    let send = service_fn(move |item: u32| {
        let next = next_tx.clone();
        async move {
            work_for(3).await;
            next.send(item).await.map_err(|_| "closed")
        }
    });
    let service = ServiceBuilder::new().layer(layer).service(send);
    pass(1).await;
    let calls = [0, 1].map(|item| tokio::spawn(service.clone().oneshot(item)));
    pass(3).await;
    assert_eq!(spent(&gauge), [1, 3, 0]);
    pass(5).await;
    assert_eq!(spent(&gauge), [1, 3, 5]);
    assert_eq!(next_rx.recv().await, Some(0));
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    pass(2).await;
    assert_eq!(spent(&gauge), [3, 3, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_idle_while_its_consumer_waits_for_it() {
    let (tx, rx) = Builder::<u32>::new(config(4)).build();
    let mut stream = rx.backpressure(config(4));
    let gauge = stream.gauge();
    gauge.time_work();
    assert!(futures_util::poll!(stream.next()).is_pending());
    pass(5).await;
    assert_eq!(spent(&gauge), [5, 0, 0]);
    tx.try_send(1).unwrap();
    assert_eq!(stream.next().await, Some(1));
    pass(3).await;
    assert_eq!(spent(&gauge), [5, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_blocked_while_the_inner_one_takes_nothing_and_calls_are_busy() {
    let switch = Switch::on();
    let calls = ServiceSink::new(Switched { switch: switch.clone(), takes: 10 });
    let inner = calls.gauge();
    let sink = BackpressureSink::new(calls, config(4));
    let outer = sink.gauge();
    outer.time_work();
    inner.time_work();
    let mut sink = sink.spawn();
    pass(2).await;
    assert_eq!(spent(&outer), [2, 0, 0]);
    for item in 0..2 {
        sink.feed(item).await.unwrap();
    }
    pass(10).await;
    assert_eq!((spent(&outer), spent(&inner)), ([2, 0, 10], [2, 10, 0]));
    pass(10).await;
    assert_eq!((spent(&outer), spent(&inner)), ([12, 0, 10], [2, 20, 0]));
    switch.set(false);
    sink.feed(2).await.unwrap();
    pass(4).await;
    assert_eq!((spent(&outer), spent(&inner)), ([12, 0, 14], [2, 20, 4]));
    switch.set(true);
    pass(10).await;
    assert_eq!((spent(&outer), spent(&inner)), ([22, 0, 14], [2, 30, 4]));
}
