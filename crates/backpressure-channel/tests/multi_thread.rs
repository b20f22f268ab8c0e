//! Real threads, real races: whatever happens, everything is accounted for.

#[path = "support/mod.rs"]
mod support;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{DropReason, Strategy};
use futures_util::SinkExt;

use support::{STRATEGIES, balanced, built, config, fill, open};

const PRODUCERS: u64 = 4;
const LONGEST: Duration = Duration::from_secs(30);

/// A xorshift generator: enough to vary what the producers do.
struct Dice(u64);

impl Dice {
    const fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What the producers know.
#[derive(Debug, Default)]
struct Told {
    taken: AtomicU64,
    returned: AtomicU64,
}

impl Told {
    fn note(&self, sent: Result<Sent, SendError<u64>>) {
        match sent {
            Ok(_) => self.taken.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.returned.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Sends items in rising order by every way there is, giving up on some, until it is told to stop.
async fn produce(tx: Sender<u64>, producer: u64, stop: Arc<AtomicBool>, told: Arc<Told>) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (producer + 1));
    let mut sink = tx.clone();
    let mut n = 0;
    loop {
        n += 1;
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if dice.throw(16) == 0 {
            tokio::task::yield_now().await;
        }
        let item = producer << 48 | n;
        match dice.throw(8) {
            0 => told.note(tx.try_send(item)),
            1 => match SinkExt::send(&mut sink, item).await {
                Ok(()) => told.note(Ok(Sent::Accepted)),
                Err(_) => told.note(Err(SendError::Full(item))),
            },
            2 => match tx.reserve().await {
                Ok(permit) if dice.throw(3) > 0 => told.note(permit.send(item)),
                _ => {}
            },
            3 => {
                // Polled a few times, then dropped: while it waits, or while it is being served by another thread.
                let mut patience = dice.throw(4);
                let mut send = pin!(tx.send(item));
                let sent = std::future::poll_fn(|cx| match send.as_mut().poll(cx) {
                    Poll::Ready(sent) => Poll::Ready(Some(sent)),
                    Poll::Pending if patience == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        patience -= 1;
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                });
                if let Some(sent) = sent.await {
                    told.note(sent);
                }
            }
            4 => {
                let mut run: Vec<_> = (0..dice.throw(20)).map(|more| item + more).collect();
                let all = run.len() as u64;
                n += all;
                let mut patience = dice.throw(4);
                let mut send = Box::pin(tx.send_many(&mut run));
                let done = std::future::poll_fn(|cx| match send.as_mut().poll(cx) {
                    Poll::Ready(sent) => Poll::Ready(Some(sent)),
                    Poll::Pending if patience == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        patience -= 1;
                        Poll::Pending
                    }
                });
                let done = done.await;
                drop(send);
                let left = run.len() as u64;
                told.taken.fetch_add(all - left, Ordering::Relaxed);
                if done.is_some() {
                    told.returned.fetch_add(left, Ordering::Relaxed);
                }
            }
            _ => told.note(tx.send(item).await),
        }
    }
}

/// Receives until the end, now one, now many, and gives up on some receives.
async fn consume(mut rx: Receiver<u64>) -> Vec<u64> {
    let (mut dice, mut received) = (Dice(42), Vec::new());
    loop {
        match dice.throw(4) {
            0 => drop(futures_util::FutureExt::now_or_never(rx.recv_many(&mut received, 3))),
            1 => {
                if rx.recv_many(&mut received, 1 + dice.throw(20) as usize).await == 0 {
                    return received;
                }
            }
            2 => tokio::task::yield_now().await,
            _ => match rx.recv().await {
                Some(item) => received.push(item),
                None => return received,
            },
        }
    }
}

async fn stress(strategy: Strategy, time: Duration) {
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let (tx, rx) = Builder::new(built(config(8, strategy)))
        .on_drop(move |_, _| support::ignore(counted.fetch_add(1, Ordering::Relaxed)))
        .build();
    let (gauge, stop, told) = (rx.gauge(), Arc::new(AtomicBool::new(false)), Arc::new(Told::default()));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| tokio::spawn(produce(tx.clone(), producer, Arc::clone(&stop), Arc::clone(&told))))
        .collect();
    drop(tx);
    let consumer = tokio::spawn(consume(rx));
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        balanced(&gauge);
        assert!(gauge.utilization() <= 1.0);
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    for producer in producers {
        producer.await.expect("no producer panics");
    }
    let received = consumer.await.expect("the consumer does not panic");

    let counts = balanced(&gauge);
    assert_eq!((counts.queued, gauge.utilization(), gauge.snapshot().producers_waiting), (0, 0.0, 0));
    assert_eq!(counts.delivered, received.len() as u64);
    let lost = lost.load(Ordering::Relaxed);
    assert_eq!(lost, DropReason::ALL.into_iter().map(|reason| counts.lost(reason)).sum());
    let [taken, returned] = [&told.taken, &told.returned].map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!((counts.delivered + lost, counts.rejected), (taken, returned));
    assert!(strategy.is_lossy() || lost == 0);
    let mut latest = [None; PRODUCERS as usize];
    for item in received {
        let latest = &mut latest[(item >> 48) as usize];
        assert!(*latest < Some(item), "the items of one producer stay in order");
        *latest = Some(item);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c1_o1_x1_everything_is_accounted_for_whatever_the_threads_do() {
    for strategy in STRATEGIES {
        let run = stress(strategy, Duration::from_millis(300));
        tokio::time::timeout(LONGEST, run).await.unwrap_or_else(|_| panic!("{strategy}: somebody waits for ever"));
    }
}

/// Waits for a future by parking the thread: no runtime at all.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park_timeout(LONGEST);
    }
}

#[test]
fn o1_threads_without_a_runtime_pass_everything_on_in_order() {
    let (tx, mut rx) = open(3, Strategy::block());
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let tx = tx.clone();
            scope.spawn(move || (0..2000).for_each(|n| assert!(block_on(tx.send((producer, n))).is_ok())));
        }
        drop(tx);
        let mut next = [0; PRODUCERS as usize];
        while let Some((producer, n)) = block_on(rx.recv()) {
            let next = &mut next[producer as usize];
            assert_eq!(n, *next);
            *next += 1;
        }
        assert_eq!(next, [2000; PRODUCERS as usize]);
    });
    assert_eq!(balanced(&rx.gauge()).delivered, 2000 * PRODUCERS);
}

#[test]
fn k1_without_a_runtime_a_timer_thread_ends_the_wait() {
    let (tx, _rx) = open(1, Strategy::Block { max_wait: Duration::from_millis(1) });
    fill(&tx, [1]);
    assert_eq!(block_on(tx.send(2)), Err(SendError::TimedOut(2)));
    assert_eq!(block_on(tx.reserve()).err(), Some(SendError::TimedOut(())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c2_a_receiver_that_goes_while_producers_send_leaves_no_item_behind() {
    for _ in 0..200 {
        let lost = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&lost);
        let (tx, mut rx) = Builder::new(built(config(2, Strategy::block_forever())))
            .on_drop(move |item, reason| {
                assert_eq!(reason, DropReason::Closed);
                hook.lock().expect("not poisoned").push(item);
            })
            .build();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let tx = tx.clone();
                tokio::spawn(async move {
                    for n in 0..5 {
                        if let Err(error) = tx.send((producer, n)).await {
                            return Some(error.into_inner());
                        }
                    }
                    None
                })
            })
            .collect();
        let mut seen: Vec<_> = rx.recv().await.into_iter().chain(rx.recv().await).collect();
        drop(rx);
        for producer in producers {
            let last = tokio::time::timeout(LONGEST, producer).await.expect("nobody waits for ever");
            seen.extend(last.expect("no producer panics"));
        }
        seen.append(&mut lost.lock().expect("not poisoned"));
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
        for producer in 0..PRODUCERS {
            let items = seen.iter().filter(|item| item.0 == producer);
            assert!(items.map(|item| item.1).eq(0..seen.iter().filter(|item| item.0 == producer).count()), "{seen:?}");
        }
        assert_eq!(balanced(&tx.gauge()).received, seen.len() as u64);
    }
}
