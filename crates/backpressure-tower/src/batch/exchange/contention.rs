//! The state, when many threads call at once: calls are left in the [shards](super::shards) then.

use std::sync::Arc;

use backpressure_core::Moved;

use super::slab::SLOTS;
use super::state::State;

/// For so many sleeps of the worker contention is expected after somebody had to wait for the lock.
const MEMORY: u32 = 64;

impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// Somebody had to wait for the lock.
    pub(crate) fn note_contention(&mut self) {
        self.contention.expected = MEMORY;
    }

    #[inline]
    pub(super) const fn expects_contention(&self) -> bool {
        self.contention.expected > 0
    }

    /// Collects the calls that are in the shards.
    #[inline]
    pub(crate) fn collect_shards(&mut self) {
        if self.contention.uses_shards {
            self.collect(false);
        }
    }

    /// The same, for the worker, which has its turn when its thread has nothing else to do: what is in the shard of that thread is
    /// all that is to be expected there at a time.
    pub(crate) fn collect_shards_as_worker(&mut self, owner: &Arc<O>) {
        if self.contention.uses_shards {
            if self.shards.mine().is_some_and(|shard| self.collect_mine(shard)) {
                self.open_shard(owner);
            }
            self.collect(false);
        }
    }

    /// Collects the calls that are in the shards, and no more may be left there.
    pub(super) fn close_shards(&mut self) {
        if self.contention.uses_shards {
            self.collect(true);
            self.contention.uses_shards = false;
        }
    }

    /// The thread of a shard comes: collects the calls that are there. Whether there are any.
    pub(super) fn collect_mine(&mut self, shard: usize) -> bool {
        let before = self.calls.queued();
        self.shards.collect_mine(shard, |key, calls| self.calls.absorb(key, calls.drain(..)));
        self.count_since(before)
    }

    #[inline(never)]
    fn collect(&mut self, close: bool) {
        let before = self.calls.queued();
        self.shards.collect(close, |key, calls| self.calls.absorb(key, calls.drain(..)));
        self.count_since(before);
    }

    /// Counts the calls that were collected since so many were queued. Whether there are any.
    fn count_since(&mut self, before: usize) -> bool {
        let came = self.calls.queued() - before;
        if came > 0 {
            self.pending += came;
            for _ in 0..came {
                let pushed = self.queue.push(());
                debug_assert!(pushed.is_ok(), "each has a permit");
            }
            self.is_changed = self.publish(Moved::NOTHING);
        }
        came > 0
    }

    /// Opens the shard of this thread, if the worker is bound to come, for as many calls as do not change the state: near an
    /// edge everyone comes to the lock.
    pub(super) fn open_shard(&mut self, owner: &Arc<O>) {
        let Some(shard) = self.shards.mine() else { return };
        let room = self.recorder.headroom(self.queue.held()) / self.shards.len();
        if room > 0 && self.worker.is_none() && !self.is_ending() {
            let acquire = |permits| self.permits.try_acquire(permits);
            self.shards.open(shard, room.min(SLOTS), || self.calls.add_slab(owner), acquire);
            self.contention.uses_shards = true;
        }
    }
}
