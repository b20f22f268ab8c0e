//! Flush barriers: everything accepted before the call has a fate.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::careful::guarded;

/// How many waiters are kept before the first look at who has left.
const FIRST_SWEEP: usize = 32;

/// Those who wait for a flush.
///
/// Positions and batch numbers only grow, so both queues are in order, and a turn looks at those who are answered and at one
/// more. Waiters that left are swept out whenever their number may have doubled: a call that is given up costs a constant.
#[derive(Debug, Default)]
pub(crate) struct Barriers {
    /// Those with items in the buffer, by the arrival number that all their items are below.
    queued: VecDeque<Waiter>,
    /// Those whose items have all left the buffer, but some are set aside because of their keys, by the number that all of
    /// these are below.
    aside: VecDeque<Waiter>,
    /// Those whose items have all gone into batches, by the number of the first batch that is not theirs.
    in_flight: VecDeque<Waiter>,
    /// Items below this arrival number are flushed without waiting for the interval, even if who asked has left.
    hurry_to: u64,
    /// The arrival number of the oldest queued item, as of the last turn.
    oldest: u64,
    sweep_at: usize,
}

#[derive(Debug)]
struct Waiter {
    position: u64,
    done: oneshot::Sender<()>,
}

/// How far things have come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The arrival number of the oldest queued item.
    pub(crate) oldest: u64,
    /// The number of the next item that is set aside, and that of the oldest one that is.
    pub(crate) next_aside: u64,
    pub(crate) oldest_aside: Option<u64>,
    /// The number of the next batch.
    pub(crate) next_batch: u64,
    /// The number of the oldest batch that is not settled.
    pub(crate) oldest_batch: Option<u64>,
}

impl Barriers {
    /// Waits for everything with an arrival number below `accepted`.
    pub(crate) fn add(&mut self, accepted: u64, done: oneshot::Sender<()>) {
        if self.len() >= self.sweep_at {
            for waiters in [&mut self.queued, &mut self.aside, &mut self.in_flight] {
                waiters.retain(|waiter| !waiter.done.is_closed());
            }
            self.sweep_at = FIRST_SWEEP.max(2 * self.len());
        }
        self.hurry_to = self.hurry_to.max(accepted);
        self.queued.push_back(Waiter { position: accepted, done });
    }

    fn len(&self) -> usize {
        self.queued.len() + self.aside.len() + self.in_flight.len()
    }

    /// Whether somebody asked for queued items.
    pub(crate) fn hurry(&self) -> bool {
        self.hurry_to > self.oldest
    }

    /// Answers those whose items all have a fate.
    pub(crate) fn advance(&mut self, progress: Progress) {
        self.oldest = progress.oldest;
        let Progress { oldest, next_aside, oldest_aside, next_batch, oldest_batch } = progress;
        while let Some(waiter) = pop_if(&mut self.queued, |position| position <= oldest) {
            self.aside.push_back(Waiter { position: next_aside, ..waiter });
        }
        let is_over = |oldest: Option<u64>, position| oldest.is_none_or(|oldest| oldest >= position);
        while let Some(waiter) = pop_if(&mut self.aside, |position| is_over(oldest_aside, position)) {
            self.in_flight.push_back(Waiter { position: next_batch, ..waiter });
        }
        let is_settled = |position| is_over(oldest_batch, position);
        while let Some(waiter) = pop_if(&mut self.in_flight, is_settled) {
            // Nobody left to hear it is fine.
            guarded(|| waiter.done.send(()));
        }
    }
}

fn pop_if(waiters: &mut VecDeque<Waiter>, is_met: impl FnOnce(u64) -> bool) -> Option<Waiter> {
    waiters.front().is_some_and(|first| is_met(first.position)).then(|| waiters.pop_front()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Progress =
        Progress { oldest: 0, next_aside: 0, oldest_aside: None, next_batch: 0, oldest_batch: None };

    #[test]
    fn a_barrier_waits_for_items_that_were_set_aside_before_it_and_for_the_batches_that_they_went_into() {
        let mut barriers = Barriers::default();
        let (done, mut answer) = oneshot::channel();
        barriers.add(10, done);
        barriers.advance(Progress { oldest: 10, next_aside: 4, oldest_aside: Some(3), ..START });
        let later = Progress { oldest: 20, next_aside: 9, ..START };
        barriers.advance(Progress { oldest_aside: Some(3), next_batch: 5, ..later });
        assert!(answer.try_recv().is_err(), "item 3 is set aside");
        barriers.advance(Progress { oldest_aside: Some(4), next_batch: 6, oldest_batch: Some(5), ..later });
        assert!(answer.try_recv().is_err(), "item 3 is in batch 5");
        barriers.advance(Progress { oldest_aside: Some(4), next_batch: 9, oldest_batch: Some(6), ..later });
        assert_eq!(answer.try_recv(), Ok(()), "item 4 was set aside after the barrier");
    }

    #[test]
    fn a_barrier_waits_for_its_items_in_the_buffer_and_in_flight_and_for_no_others() {
        let mut barriers = Barriers::default();
        let (done, mut answer) = oneshot::channel();
        barriers.add(10, done);
        assert!(barriers.hurry());

        barriers.advance(Progress { oldest: 9, next_batch: 1, ..START });
        assert!(answer.try_recv().is_err(), "item 9 is still queued");

        barriers.advance(Progress { oldest: 10, next_batch: 2, oldest_batch: Some(1), ..START });
        assert!(!barriers.hurry(), "later items need not hurry");
        assert!(answer.try_recv().is_err(), "batch 1 is in flight");

        barriers.advance(Progress { oldest: 50, next_batch: 6, oldest_batch: Some(2), ..START });
        assert_eq!(answer.try_recv(), Ok(()), "batch 2 was taken after the barrier was met");
    }

    #[test]
    fn t6_waiters_that_left_are_not_kept_and_those_who_stay_are_answered() {
        let mut barriers = Barriers::default();
        let stalled = Progress { oldest: 10, next_batch: 2, oldest_batch: Some(1), ..START };
        let mut stay = Vec::new();
        for call in 0..100_000 {
            let (done, answer) = oneshot::channel();
            barriers.add(10 + call / 50_000, done);
            if call % 10_000 == 0 {
                stay.push(answer);
            }
            barriers.advance(stalled);
            assert!(barriers.len() <= 2 * FIRST_SWEEP, "after {call} calls");
        }
        assert!(barriers.hurry(), "item 10 was asked for");
        barriers.advance(Progress { oldest: 11, next_batch: 3, ..START });
        assert!(stay.iter_mut().all(|answer| answer.try_recv() == Ok(())));
        assert!(!barriers.hurry());
    }
}
