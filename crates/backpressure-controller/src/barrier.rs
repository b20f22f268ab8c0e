//! Flush barriers: everything accepted before the call has a fate.

use std::mem;

use tokio::sync::oneshot;

/// Those who wait for a flush.
#[derive(Debug, Default)]
pub(crate) struct Barriers {
    waiting: Vec<Barrier>,
}

#[derive(Debug)]
struct Barrier {
    /// Everything with a lower arrival number was accepted before the call.
    accepted: u64,
    /// Once all that has left the buffer: the last batch it may be in.
    batch: Option<u64>,
    done: oneshot::Sender<()>,
}

/// How far things have come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The arrival number of the oldest queued item.
    pub(crate) oldest: u64,
    /// The number of the next batch.
    pub(crate) next_batch: u64,
    /// The number of the oldest batch that is not settled.
    pub(crate) oldest_batch: Option<u64>,
}

impl Barriers {
    /// Waits for everything with an arrival number below `accepted`.
    pub(crate) fn add(&mut self, accepted: u64, done: oneshot::Sender<()>) {
        self.waiting.push(Barrier { accepted, batch: None, done });
    }

    /// Whether somebody waits for queued items.
    pub(crate) fn hurry(&self) -> bool {
        self.waiting.iter().any(|barrier| barrier.batch.is_none())
    }

    /// Answers those whose items all have a fate.
    pub(crate) fn advance(&mut self, progress: Progress) {
        for barrier in &mut self.waiting {
            if barrier.batch.is_none() && progress.oldest >= barrier.accepted {
                barrier.batch = Some(progress.next_batch);
            }
        }
        let settled = |barrier: &Barrier| {
            barrier.batch.is_some_and(|batch| progress.oldest_batch.is_none_or(|oldest| oldest >= batch))
        };
        let (met, waiting): (Vec<_>, Vec<_>) = mem::take(&mut self.waiting).into_iter().partition(settled);
        self.waiting = waiting;
        for barrier in met {
            // Nobody left to hear it is fine.
            let _ = barrier.done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_waits_for_its_items_in_the_buffer_and_in_flight_and_for_no_others() {
        let mut barriers = Barriers::default();
        let (done, mut answer) = oneshot::channel();
        barriers.add(10, done);
        assert!(barriers.hurry());

        barriers.advance(Progress { oldest: 9, next_batch: 1, oldest_batch: None });
        assert!(answer.try_recv().is_err(), "item 9 is still queued");

        barriers.advance(Progress { oldest: 10, next_batch: 2, oldest_batch: Some(1) });
        assert!(!barriers.hurry(), "later items need not hurry");
        assert!(answer.try_recv().is_err(), "batch 1 is in flight");

        barriers.advance(Progress { oldest: 50, next_batch: 6, oldest_batch: Some(2) });
        assert_eq!(answer.try_recv(), Ok(()), "batch 2 was taken after the barrier was met");
    }
}
