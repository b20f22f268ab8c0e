//! W5: wakers may use the channel when they are woken and when they are dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use backpressure_channel::{Receiver, Sender, Sent};
use futures_sink::Sink;

use crate::support::{Task, blocking, drained, fill, finishes, ignore};

/// Does something to a channel whenever it is woken, and again when it is dropped.
struct Meddler {
    meddle: Box<dyn Fn() + Send + Sync>,
    times: Arc<AtomicUsize>,
}

impl Meddler {
    fn waker(meddle: impl Fn() + Send + Sync + 'static) -> (Waker, Arc<AtomicUsize>) {
        let times = Arc::new(AtomicUsize::new(0));
        let meddler = Self { meddle: Box::new(meddle), times: Arc::clone(&times) };
        (Waker::from(Arc::new(meddler)), times)
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Ordering::Relaxed);
        (self.meddle)();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.times.fetch_add(1, Ordering::Relaxed);
        (self.meddle)();
    }
}

/// Both ends of a channel, for a waker to meddle with. Senders and receiver are used one at a time: a meddling waker
/// that finds the receiver in use by the one who woke it leaves it alone.
#[derive(Clone)]
struct Ends {
    tx: Sender<u32>,
    rx: Arc<Mutex<Option<Receiver<u32>>>>,
    received: Arc<Mutex<VecDeque<u32>>>,
}

impl Ends {
    fn new() -> Self {
        let (tx, rx) = blocking(1);
        Self { tx, rx: Arc::new(Mutex::new(Some(rx))), received: Arc::default() }
    }

    fn receive(&self) {
        let Ok(mut rx) = self.rx.try_lock() else { return };
        let item = rx.as_mut().and_then(Receiver::try_recv);
        drop(rx);
        self.received.lock().expect("not poisoned").extend(item);
    }

    fn use_everything(&self) {
        let _ = self.tx.try_send(100);
        ignore(Task::new(self.tx.send(101)).poll());
        drop(self.tx.try_reserve());
        let _ = (self.tx.is_closed(), self.tx.gauge().snapshot());
        self.receive();
    }
}

#[test]
fn w5_a_waker_may_use_the_channel_when_it_is_woken() {
    finishes(|| {
        let ends = Ends::new();
        let inner = ends.clone();
        let (receiver, times) = Meddler::waker(move || inner.use_everything());
        {
            let mut rx = ends.rx.lock().expect("not poisoned");
            let pending = rx.as_mut().expect("open").poll_recv(&mut Context::from_waker(&receiver)).is_pending();
            assert!(pending);
        }
        assert_eq!(ends.tx.try_send(1), Ok(Sent::Accepted));
        assert_eq!(times.load(Ordering::Relaxed), 1);
        assert_eq!(*ends.received.lock().expect("not poisoned"), [1]);

        assert_eq!(ends.tx.try_send(2), Ok(Sent::Accepted));
        let mut blocked = Box::pin(ends.tx.send(3));
        let inner = ends.clone();
        let (producer, times) = Meddler::waker(move || inner.use_everything());
        assert!(blocked.as_mut().poll(&mut Context::from_waker(&producer)).is_pending());
        ends.receive();
        assert_eq!(times.load(Ordering::Relaxed), 1);
        assert!(blocked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
}

#[test]
fn w5_a_waker_may_use_the_channel_when_it_is_dropped() {
    finishes(|| {
        type Forget = fn(&Ends, Waker);
        let ways: [Forget; 5] = [
            |ends, waker| {
                let mut blocked = Box::pin(ends.tx.send(2));
                let _ = blocked.as_mut().poll(&mut Context::from_waker(&waker));
                drop(waker);
            },
            |ends, waker| {
                let mut blocked = Box::pin(ends.tx.send(2));
                let _ = blocked.as_mut().poll(&mut Context::from_waker(&waker));
                drop(waker);
                let _ = blocked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            },
            |ends, waker| {
                let mut sink = ends.tx.clone();
                let _ = std::pin::Pin::new(&mut sink).poll_ready(&mut Context::from_waker(&waker));
                drop(waker);
            },
            |ends, waker| {
                let mut rx = ends.rx.lock().expect("not poisoned").take().expect("open");
                rx.try_recv();
                let _ = rx.poll_recv(&mut Context::from_waker(&waker));
                drop(waker);
                let _ = rx.poll_recv(&mut Context::from_waker(Waker::noop()));
            },
            |ends, waker| {
                let mut rx = ends.rx.lock().expect("not poisoned").take().expect("open");
                rx.try_recv();
                let _ = rx.poll_recv(&mut Context::from_waker(&waker));
                drop(waker);
            },
        ];
        for (n, forget) in ways.into_iter().enumerate() {
            let ends = Ends::new();
            assert_eq!(ends.tx.try_send(1), Ok(Sent::Accepted));
            let inner = ends.clone();
            let (waker, times) = Meddler::waker(move || inner.use_everything());
            forget(&ends, waker);
            assert!(times.load(Ordering::Relaxed) >= 1, "way {n} kept the waker");
        }
    });
}

#[test]
fn w5_a_producer_that_is_served_inside_anothers_wake_is_served_once() {
    finishes(|| {
        let (tx, mut rx) = blocking(3);
        fill(&tx, 0..3);
        let inner = tx.clone();
        let (meddling, _times) = Meddler::waker(move || drop(inner.try_reserve()));
        let mut first = Box::pin(tx.send(3));
        assert!(first.as_mut().poll(&mut Context::from_waker(&meddling)).is_pending());
        let mut rest: Vec<_> = (4..6).map(|n| Task::pending(tx.send(n))).collect();
        assert_eq!(drained(&mut rx), [0, 1, 2]);
        assert!(rest.iter().all(|task| task.wakes.count() == 1));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(rest.iter_mut().all(|task| task.poll().is_ready()));
        assert_eq!(drained(&mut rx), [3, 4, 5]);
    });
}
