//! Items lent to the receiver, which takes them one by one without the lock.
//!
//! A lease is only as long as nobody minds. The receiver may take all of it by itself if no producer waits and the state stays
//! what it is down to the last item; otherwise it is called, and comes to the lock with each item it takes. A producer that
//! finds the channel full, or about to change its state, first looks at how much of the lease was taken, so that what it is
//! told is true to the item.

use std::collections::VecDeque;

use backpressure_core::Moved;

use crate::shared::Inner;

/// Most items lent at once.
const MOST: usize = 1024;

impl<T> Inner<T> {
    /// Lends the receiver what it may take by itself, where that [does not depend on the time](Self::minds_time).
    #[inline]
    pub(crate) fn lend(&mut self, lease: &mut VecDeque<T>) {
        if self.waiters.is_empty() {
            let slack = self.recorder.slack(self.buffer.held());
            self.buffer.lend(lease, slack.min(MOST));
        }
    }

    /// The same where it does: nothing where what is taken is timed.
    pub(crate) fn lend_for_a_time(&mut self, lease: &mut VecDeque<T>) {
        if let (Some(looks), None, true) = (&mut self.clock, &self.timed, self.waiters.is_empty()) {
            let slack = self.recorder.slack(self.buffer.held());
            looks.takes -= self.buffer.lend(lease, slack.min(looks.takes));
        }
    }

    /// Gives back the slots of what was taken of the lease.
    #[inline]
    pub(crate) fn recall(&mut self) {
        if self.buffer.lent() > 0 {
            let taken = if self.waiters.is_empty() { self.lease.tally.taken() } else { self.call() };
            self.buffer.settle_lent(taken);
        }
    }

    /// Looks at the lease where one more item would not fit, or would change the state.
    #[inline]
    pub(crate) fn look_before_an_edge(&mut self) {
        if self.buffer.lent() > 0 && (self.recorder.is_edge(self.buffer.held() + 1) || !self.buffer.has_room(1)) {
            self.recall();
        }
    }

    /// Calls the receiver unless it may go on by itself. Returns whether the state changed.
    pub(crate) fn revoke(&mut self) -> bool {
        let mut changed = false;
        while self.buffer.lent() > 0 {
            let is_quiet = self.waiters.is_empty() && self.recorder.slack(self.buffer.held()) >= self.buffer.lent();
            if is_quiet {
                if std::mem::take(&mut self.lease.is_called) {
                    self.lease.tally.dismiss();
                }
                break;
            }
            let taken = self.call();
            if !self.buffer.settle_lent(taken) {
                break;
            }
            changed |= self.recorder.update(&self.buffer, Moved::NOTHING);
        }
        changed
    }

    fn call(&mut self) -> u64 {
        self.lease.is_called = true;
        self.lease.tally.call()
    }
}
