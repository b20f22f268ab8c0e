//! A whole pipeline: pressure travels from a sink that stalls to the source, through readiness alone.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::{BackpressureConfig, BatchConfig, Gauge, State};
use backpressure_stream::BackpressureStreamExt;
use futures_util::{Sink, StreamExt};
use tokio::time::advance;

use crate::support::{Script, Step, Wakes, read};

/// Takes a batch at a time, and the next one when it is told to.
#[derive(Debug, Default)]
struct Database {
    rows: Vec<usize>,
    room: usize,
    polls: usize,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Default)]
struct Connection(Rc<RefCell<Database>>);

impl Connection {
    fn admit(&self, batches: usize) {
        let mut database = self.0.borrow_mut();
        database.room = batches;
        let waker = database.waker.take();
        drop(database);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Sink<Vec<usize>> for Connection {
    type Error = std::convert::Infallible;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut database = self.0.borrow_mut();
        database.polls += 1;
        if database.room == 0 {
            database.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, batch: Vec<usize>) -> Result<(), Self::Error> {
        let mut database = self.0.borrow_mut();
        assert!(database.room > 0, "it was not ready");
        database.room -= 1;
        database.rows.extend(batch);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn d1_d2_w3_a_database_that_stalls_holds_the_source_back_and_nothing_spins() {
    let source = Script::ready(0..1000);
    let pulled = source.pulled();
    let buffer = BackpressureConfig::builder().capacity(20).batch_items(1).build().unwrap();
    let batches = BatchConfig::builder().max_items(10).linger(Duration::from_millis(5)).build().unwrap();
    let database = Connection::default();
    let buffered = source.backpressure(buffer);
    let gauge = buffered.gauge();
    let mut pipeline = pin!(buffered.micro_batch(batches).map(Ok).forward(database.clone()));
    let (wakes, waker) = Wakes::new();
    let mut cx = Context::from_waker(&waker);

    assert!(pipeline.as_mut().poll(&mut cx).is_pending());
    assert!(read(&pulled) <= 20 + 10 + 10, "a buffer, an open batch and a closed one: {}", read(&pulled));
    let stalled = (read(&pulled), database.0.borrow().polls);
    advance(Duration::from_secs(60)).await;
    assert_eq!((wakes.count(), database.0.borrow().polls), (0, stalled.1), "a minute in which nothing moves");
    assert!(pipeline.as_mut().poll(&mut cx).is_pending());
    assert_eq!(read(&pulled), stalled.0, "a poll for no reason pulls nothing");

    let mut written = 0;
    while pipeline.as_mut().poll(&mut cx).is_pending() {
        let rows = database.0.borrow().rows.len();
        assert!(read(&pulled) - rows <= 40 && rows >= written, "{} pulled, {rows} written", read(&pulled));
        written = rows;
        let before = wakes.count();
        database.admit(3);
        assert_eq!(wakes.count(), before + 1, "readiness, and nothing else, wakes the pipeline");
    }
    assert_eq!(database.0.borrow().rows, Vec::from_iter(0..1000));
    assert_eq!(gauge.snapshot().counts.delivered, 1000);
}

#[test]
fn gauges_combine_to_the_worst() {
    let config = |capacity| BackpressureConfig::builder().capacity(capacity).batch_items(1).build().unwrap();
    let mut inner = Script::new((0..8).map(Step::Item)).backpressure(config(8));
    let inner_gauge = inner.gauge();
    assert!(crate::support::poll_once(&mut inner).is_ready());
    let outer = inner.backpressure(config(1000));
    let both = Gauge::worst_of([inner_gauge.clone(), outer.gauge()]);
    assert_eq!(outer.gauge().state(), State::Normal);
    assert_eq!((inner_gauge.state(), both.state()), (State::Critical, State::Critical));
}
