//! Queues of the threads' own, where calls are left when many threads call at once, so that they do not all contend for the lock
//! of the exchange.

use std::sync::Arc;
use std::task::Waker;

use backpressure_rt::sync::{AtomicUsize, Mutex, Ordering};
use backpressure_rt::{Padded, lock, thread_number};

use super::slab::{AnswerSlab, CallRef, Numbered, SLOTS, WakerId, WakerToken};
use crate::batch::plan::QueuedCall;

/// A shard for each of a few threads.
///
/// A shard is opened for a number of calls when its thread found the lock taken, and while the worker is bound to come.
/// Whoever takes the lock of the exchange collects what is in the shards first, so that counts as having come before. Before the
/// worker goes to sleep it closes them.
pub(crate) struct Shards<O, Req, Resp, E> {
    shards: Box<[PaddedShard<O, Req, Resp, E>]>,
}

type PaddedShard<O, Req, Resp, E> = Padded<Shard<O, Req, Resp, E>>;

/// The counts are written under the lock of the queue, and read without it.
struct Shard<O, Req, Resp, E> {
    /// How many calls are in the queue.
    queued: AtomicUsize,
    /// How many more may be pushed. Raised only under the lock of the exchange, too.
    room: AtomicUsize,
    /// How often it was collected.
    collected: AtomicUsize,
    /// Permits that have been taken for whoever comes. Written without any lock.
    permits: AtomicUsize,
    queue: Mutex<ShardQueue<O, Req, Resp, E>>,
}

struct ShardQueue<O, Req, Resp, E> {
    /// The slab of the calls that are pushed, its number, and how many calls it has, with those that were collected.
    slab: Option<Arc<AnswerSlab<O, Resp, E>>>,
    key: usize,
    used: usize,
    /// How many calls are worth a batch of their own.
    quota: usize,
    calls: Vec<(QueuedCall<Req>, Waker)>,
}

/// A shard is opened for at least so many calls, if there is room.
const MIN_QUOTA: usize = if SLOTS < 8 { SLOTS } else { 8 };

/// Where and when a handle pushed its last call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastPush {
    shard: usize,
    collected: usize,
}

/// A call that was pushed.
pub(crate) struct Pushed<O, Resp, E> {
    pub(crate) call: CallRef<O, Resp, E>,
    pub(crate) token: WakerToken,
    /// Whether no more can be pushed.
    pub(crate) is_last: bool,
}

impl<O, Req, Resp, E> Shards<O, Req, Resp, E> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Padded::default()).collect() }
    }

    /// How many shards there are.
    pub(crate) const fn len(&self) -> usize {
        self.shards.len()
    }

    /// The shard of this thread.
    pub(crate) fn mine(&self) -> Option<usize> {
        thread_number().checked_rem(self.shards.len())
    }

    /// Takes one of the permits that were taken for those who come to this shard.
    pub(crate) fn try_acquire(&self, shard: usize) -> bool {
        let permits = &self.shards[shard].0.permits;
        let taken = |permits: usize| permits.checked_sub(1);
        // AcqRel here, in `open` and in `collect_permits`: they pair with each other, as those of `Permits` do.
        permits.load(Ordering::Relaxed) > 0 && permits.fetch_update(Ordering::AcqRel, Ordering::Relaxed, taken).is_ok()
    }

    /// Collects the permits that nobody came for.
    pub(super) fn collect_permits(&self) -> usize {
        // AcqRel: pairs as in `try_acquire`.
        self.shards.iter().map(|Padded(shard)| shard.permits.swap(0, Ordering::AcqRel)).sum()
    }

    /// Whether a handle may push a call to this shard: if that is open, and if no earlier call of the handle may still be in
    /// another one.
    pub(crate) fn is_open(&self, shard: usize, last: Option<LastPush>) -> bool {
        let is_ahead = |last: LastPush| {
            // Acquire: pairs with the store in `hand_out`. If it was collected since, this call comes after the last one.
            last.shard != shard && self.shards[last.shard].0.collected.load(Ordering::Acquire) == last.collected
        };
        self.shards[shard].0.room.load(Ordering::Relaxed) > 0 && !last.is_some_and(is_ahead)
    }

    /// Pushes a call to this shard, unless that has been closed.
    pub(crate) fn push(
        &self,
        number: usize,
        last: &mut Option<LastPush>,
        call: QueuedCall<Req>,
        waker: Waker,
    ) -> Result<Pushed<O, Resp, E>, (QueuedCall<Req>, Waker)> {
        let shard = &self.shards[number].0;
        let mut queue = lock(&shard.queue);
        let Some(room) = shard.room.load(Ordering::Relaxed).checked_sub(1) else { return Err((call, waker)) };
        let Some(slab) = queue.slab.clone() else { return Err((call, waker)) };
        let pushed = CallRef { slab, number: queue.key * SLOTS + queue.used };
        let token = pushed.token(WakerId::of(&waker));
        queue.used += 1;
        queue.calls.push((call, waker));
        // Release, and in this order: whoever sees that there is no room, in `collect`, sees that something is queued.
        shard.queued.store(queue.calls.len(), Ordering::Release);
        shard.room.store(room, Ordering::Release);
        *last = Some(LastPush { shard: number, collected: shard.collected.load(Ordering::Relaxed) });
        Ok(Pushed { call: pushed, token, is_last: room == 0 })
    }

    /// Whether the slab of a shard has no room.
    pub(super) fn is_full(&self, shard: usize) -> bool {
        lock(&self.shards[shard].0.queue).used == SLOTS
    }

    /// Opens a shard for so many calls in all, but for no more than its quota or than its slab has room for. `slab` makes a slab
    /// if there is none with room, `acquire` takes permits for those who come.
    pub(crate) fn open(
        &self,
        shard: usize,
        room: usize,
        slab: impl FnOnce() -> Numbered<O, Resp, E>,
        acquire: impl FnOnce(usize) -> bool,
    ) {
        let shard = &self.shards[shard].0;
        let mut queue = lock(&shard.queue);
        if queue.slab.is_none() || queue.used == SLOTS {
            // The calls that are here have slots in the old one.
            if !queue.calls.is_empty() {
                return;
            }
            let (key, slab) = slab();
            (queue.key, queue.slab, queue.used) = (key, Some(slab), 0);
        }
        let room = room.saturating_sub(queue.calls.len()).min(SLOTS - queue.used).min(queue.quota);
        shard.room.store(room, Ordering::Relaxed);
        let wanted = room.saturating_sub(shard.permits.load(Ordering::Relaxed));
        if wanted > 0 && acquire(wanted) {
            // AcqRel: pairs as in `try_acquire`.
            shard.permits.fetch_add(wanted, Ordering::AcqRel);
        }
    }

    /// Collects what was pushed: `collected` gets the number of the slab, and the calls. With `close`, no more can be pushed.
    ///
    /// Only under the lock of the exchange. Where there is no room, none will come up meanwhile; whoever took the last of it, or
    /// pushed anything before, is seen.
    pub(crate) fn collect(&self, close: bool, mut collected: impl FnMut(usize, &mut Vec<(QueuedCall<Req>, Waker)>)) {
        for Padded(shard) in &self.shards {
            // Acquire, and in this order: pairs with the stores in `push`.
            let is_closed = shard.room.load(Ordering::Acquire) == 0;
            if shard.queued.load(Ordering::Acquire) == 0 && (is_closed || !close) {
                continue;
            }
            let mut queue = lock(&shard.queue);
            if close {
                shard.room.store(0, Ordering::Relaxed);
            }
            shard.hand_out(&mut queue, &mut collected);
        }
    }

    /// The same at one shard, whose thread has come: so many calls are worth a batch of their own from now on. One bad time
    /// does not count for much.
    ///
    /// Only under the lock of the exchange.
    pub(super) fn collect_mine(&self, shard: usize, collected: impl FnOnce(usize, &mut Vec<(QueuedCall<Req>, Waker)>)) {
        let shard = &self.shards[shard].0;
        // Acquire: pairs with the store in `push`; it spares the lock where nothing is.
        if shard.queued.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut queue = lock(&shard.queue);
        queue.quota = queue.calls.len().max(queue.quota - queue.quota / 4).clamp(MIN_QUOTA, SLOTS);
        shard.hand_out(&mut queue, collected);
    }

    /// Forgets the slabs: nobody will come any more.
    pub(crate) fn forget(&self) {
        self.shards.iter().for_each(|Padded(shard)| lock(&shard.queue).slab = None);
    }
}

impl<O, Req, Resp, E> Shard<O, Req, Resp, E> {
    /// Under the lock of the queue.
    fn hand_out(
        &self,
        queue: &mut ShardQueue<O, Req, Resp, E>,
        collected: impl FnOnce(usize, &mut Vec<(QueuedCall<Req>, Waker)>),
    ) {
        if !queue.calls.is_empty() {
            collected(queue.key, &mut queue.calls);
            self.queued.store(0, Ordering::Relaxed);
            let times = self.collected.load(Ordering::Relaxed).wrapping_add(1);
            // Release: pairs with the load in `is_open`; the calls are in the inbox by now.
            self.collected.store(times, Ordering::Release);
        }
    }
}

impl<O, Req, Resp, E> Default for Shard<O, Req, Resp, E> {
    fn default() -> Self {
        let queue = ShardQueue { slab: None, key: 0, used: 0, quota: SLOTS, calls: Vec::new() };
        Self {
            queued: AtomicUsize::new(0),
            room: AtomicUsize::new(0),
            collected: AtomicUsize::new(0),
            permits: AtomicUsize::new(0),
            queue: Mutex::new(queue),
        }
    }
}
