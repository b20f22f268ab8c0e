//! What the flush target and the hooks saw, and whether it was in order.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use backpressure_controller::FlushOutcome;
use backpressure_core::Counts;
use tower::Service;

use crate::support::{Error, Flush, Target};

/// Four bits of key below a number that grows.
pub(crate) type Item = u32;

pub(crate) const fn key(item: Item) -> u32 {
    item % 16
}

#[derive(Clone)]
pub(crate) struct Record {
    most_out: u64,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    accepted: BTreeSet<Item>,
    /// Failed for good, dropped or handed back.
    over: BTreeSet<Item>,
    /// The last item of each key that was handed to the target for the first time.
    first: BTreeMap<u32, Item>,
    /// Handed to the target at least once, and neither delivered nor over.
    undecided: BTreeSet<Item>,
    /// Those in flight.
    calls: Vec<Vec<Item>>,
    wrongs: Vec<String>,
}

impl Record {
    pub(crate) fn new(most_out: usize) -> Self {
        Self { most_out: most_out as u64, seen: Arc::default() }
    }

    pub(crate) fn accept(&self, item: Item) {
        self.seen.lock().unwrap().accepted.insert(item);
    }

    pub(crate) fn accepted(&self) -> BTreeSet<Item> {
        self.seen.lock().unwrap().accepted.clone()
    }

    /// The target was called: whatever is undecided of the keys of these items is among them, or comes later and waits.
    fn call(&self, batch: &[Item]) {
        let mut seen = self.seen.lock().unwrap();
        let seen = &mut *seen;
        for (place, &item) in batch.iter().enumerate() {
            let before = batch[..place].iter().rev().find(|&&other| key(other) == key(item));
            if before.is_some_and(|&before| before >= item) {
                seen.wrongs.push(format!("{item} is behind {before:?} in {batch:?}"));
            }
            let earlier = |&other: &Item| key(other) == key(item) && other < item && !batch.contains(&other);
            if let Some(earlier) = seen.undecided.iter().copied().find(|other| earlier(other)) {
                seen.wrongs.push(format!("{item} is called while {earlier} has no fate"));
            }
            let shares = |call: &Vec<Item>| call.iter().any(|&other| key(other) == key(item));
            if seen.calls.iter().any(shares) {
                seen.wrongs.push(format!("{item} is called while its key is in flight"));
            }
            let first = seen.first.entry(key(item)).or_default();
            if item > *first {
                *first = item;
            } else if !seen.undecided.contains(&item) {
                seen.wrongs.push(format!("{item} comes after {first}"));
            }
        }
        seen.undecided.extend(batch);
        seen.calls.push(batch.to_vec());
    }

    /// A call is no more in flight, and these are delivered.
    fn answered(&self, batch: &[Item], delivered: &[Item]) {
        let mut seen = self.seen.lock().unwrap();
        seen.calls.retain(|call| call != batch);
        delivered.iter().for_each(|item| assert!(seen.undecided.remove(item)));
    }

    /// It has failed for good, or is lost.
    pub(crate) fn over(&self, item: Item) {
        let mut seen = self.seen.lock().unwrap();
        seen.undecided.remove(&item);
        if !seen.over.insert(item) {
            seen.wrongs.push(format!("{item} is over twice"));
        }
    }

    /// What a drain hands back is in order.
    pub(crate) fn hand_back(&self, items: &[Item]) {
        for (place, &item) in items.iter().enumerate() {
            let behind = items[place..].iter().all(|&other| key(other) != key(item) || other >= item);
            assert!(behind, "{item} has an earlier one behind it: {items:?}");
            self.over(item);
        }
    }

    pub(crate) fn observe(&self, counts: &Counts) {
        assert!(counts.balances() && counts.in_flight <= self.most_out, "{counts:?}");
    }

    pub(crate) fn expect_over(&self, items: &BTreeSet<Item>, target: &Target<Item>) {
        let delivered = target.delivered();
        let mut seen = self.seen.lock().unwrap();
        for item in items {
            if !delivered.contains(item) && !seen.over.contains(item) {
                seen.wrongs.push(format!("{item} has no fate after a barrier"));
            }
        }
    }

    pub(crate) fn check(&self, target: &Target<Item>) {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.wrongs, Vec::<String>::new());
        let delivered = target.delivered();
        let fates: BTreeSet<Item> = delivered.iter().chain(&seen.over).copied().collect();
        assert_eq!(fates.len(), delivered.len() + seen.over.len(), "one fate each");
        assert!(seen.accepted.is_subset(&fates), "nothing is lost");
    }
}

/// A target whose calls are recorded.
pub(crate) struct Recorded {
    pub(crate) target: Flush<Item>,
    pub(crate) record: Record,
}

type Answer = Result<FlushOutcome<Item, Error>, Error>;

impl Service<Vec<Item>> for Recorded {
    type Response = FlushOutcome<Item, Error>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.target.poll_ready(cx)
    }

    fn call(&mut self, batch: Vec<Item>) -> Self::Future {
        self.record.call(&batch);
        let mut in_flight = InFlight { record: self.record.clone(), batch: batch.clone(), delivered: Vec::new() };
        let answer = self.target.call(batch);
        Box::pin(async move {
            let answer = answer.await?;
            in_flight.deliver(&answer);
            Ok(answer)
        })
    }
}

struct InFlight {
    record: Record,
    batch: Vec<Item>,
    delivered: Vec<Item>,
}

impl InFlight {
    fn deliver(&mut self, answer: &FlushOutcome<Item, Error>) {
        let has_failed = |item: &Item| answer.failed.iter().any(|failed| failed.item == *item);
        self.delivered = self.batch.iter().copied().filter(|item| !has_failed(item)).collect();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.record.answered(&self.batch, &self.delivered);
    }
}
