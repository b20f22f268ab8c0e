//! The receiving end.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use backpressure_core::{Activity, BoundedBuffer, DropReason, Gauge, Moved, Reporter, Tally};
use backpressure_rt::sync::Arc;
use backpressure_rt::{Exclusive, Relay};
use futures_core::{FusedStream, Stream};

use crate::budget::{Share, budgeted};
use crate::demand::Demand;
use crate::reconfigure::ChannelHandle;
use crate::shared::Shared;

/// The receiving end of a channel: a `Stream` of the items, in delivery order.
///
/// Dropping it closes the channel; what was still queued is lost for [`DropReason::Closed`] and goes to the `on_drop` hook.
/// To lose nothing, [`close`](Self::close) it and receive the rest.
///
/// # Panics
///
/// Receiving wakes producers and watchers of the gauge. If the waker of one panics, all others are woken and the panic goes on: an
/// item received by itself is dropped with it, items received into a `Vec` are there.
///
/// # Expiry
///
/// Where items expire (see [`max_age`](backpressure_core::BackpressureConfigBuilder::max_age) and
/// [`expires_by`](crate::Builder::expires_by)), receiving several at once ([`recv_many`](Self::recv_many), for one item, too) gives
/// out none that has expired. To save reading the clock for each, items that come or go one by one are counted between two looks at
/// it, which follow their pace: the last look is no longer ago than a millisecond, or a 64th of the longest age. Only after a pause,
/// in which nobody sends, receives or waits to receive, up to 15 items go by before the next look. That many can be received although
/// they have expired meanwhile, or count as having come before the pause. [`send_many`](crate::Sender::send_many) always looks.
///
/// What has expired leaves when a receiver takes something, or calls [`expire`](Self::expire), and when a producer finds the
/// channel full, begins to wait or gives up waiting; until then it holds its slot, and counts as queued. Producers that wait are
/// not woken by the mere passing of time.
pub struct Receiver<T> {
    pub(crate) shared: Arc<Shared<T>>,
    /// What it takes of its lease. Here, since what is shared lies where producers write.
    tally: Tally,
    share: Share,
    /// The next items, taken out already but still in the books.
    pub(crate) lease: Exclusive<VecDeque<T>>,
}

impl<T> Receiver<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>, tally: Tally) -> Self {
        Self { shared, tally, share: Share::new(), lease: Exclusive::new(VecDeque::new()) }
    }

    /// Waits for the next item. `None` once the channel is closed and empty.
    ///
    /// Inside a tokio task four receives through one receiver take one unit of the task's cooperative budget: a task that always
    /// finds an item yields after 512 of them. With slow work for each, call `tokio::task::consume_budget` beside it.
    ///
    /// # Cancel safety
    ///
    /// A future dropped before it resolves has taken nothing.
    pub const fn recv(&mut self) -> Recv<'_, T> {
        Recv { receiver: self }
    }

    /// Waits for items and appends as many as there are to `out`, at most `max`. Resolves to their number: 0 once the
    /// channel is closed and empty, or if `max` is 0. They are taken under one lock, whatever their number.
    ///
    /// # Cancel safety
    ///
    /// A future dropped before it resolves has taken nothing.
    pub const fn recv_many<'a>(&'a mut self, out: &'a mut Vec<T>, max: usize) -> RecvMany<'a, T> {
        RecvMany { receiver: self, out, max }
    }

    /// Takes the next item if there is one.
    #[inline]
    pub fn try_recv(&mut self) -> Option<T> {
        self.take_leased().or_else(|| self.try_recv_locked())
    }

    #[inline]
    fn take_leased(&mut self) -> Option<T> {
        let item = self.lease.get().pop_front()?;
        self.count(1);
        Some(item)
    }

    pub(crate) fn try_recv_locked(&mut self) -> Option<T> {
        let mut inner = self.shared.lock();
        if inner.minds_time() {
            return self.shared.take_in_time(inner, self.lease.get());
        }
        let item = inner.buffer.pop()?;
        inner.recorder.works(Activity::BUSY);
        let after = inner.settle(Moved::taken(1));
        inner.lend(self.lease.get());
        drop(inner);
        self.shared.carry_out(after);
        Some(item)
    }

    /// Counts items taken of the lease, and lets those who wait for that know.
    #[inline]
    fn count(&self, items: usize) {
        if self.tally.take(items) {
            self.answer_the_call();
        }
    }

    #[inline(never)]
    fn answer_the_call(&self) {
        let after = self.shared.lock().settle(Moved::NOTHING);
        self.shared.carry_out(after);
    }

    /// Takes what is there, at most `max` items and no more than `max_weight` together unless the first alone weighs more,
    /// and appends it to `out`. Returns the number of items.
    pub fn try_recv_many(&mut self, out: &mut Vec<T>, max: usize, max_weight: usize) -> usize {
        self.take_many(out, max, max_weight, None)
    }

    fn take_many(&mut self, out: &mut Vec<T>, max: usize, max_weight: usize, then: Option<Activity>) -> usize {
        if self.shared.is_expiring {
            return self.take_expiring(then, |buffer| buffer.pop_many(out, max, max_weight));
        }
        let lease = self.lease.get();
        let leased = max.min(lease.len());
        if leased > 0 {
            out.extend(lease.drain(..leased));
            self.count(leased);
        }
        if leased == max {
            return leased;
        }
        leased + self.take_locked(then, |buffer| buffer.pop_many(out, max - leased, max_weight))
    }

    /// Takes what is there, as [`try_recv_many`](Self::try_recv_many) does, each item with its weight: 0 where nothing is
    /// weighed.
    pub fn try_recv_many_weighed(&mut self, out: &mut Vec<(T, usize)>, max: usize, max_weight: usize) -> usize {
        if self.shared.is_expiring {
            return self.take_expiring(None, |buffer| buffer.pop_many_weighed(out, max, max_weight));
        }
        // Where items are weighed, none are leased.
        let lease = self.lease.get();
        let leased = max.min(lease.len());
        if leased > 0 {
            out.extend(lease.drain(..leased).map(|item| (item, 0)));
            self.count(leased);
        }
        if leased == max {
            return leased;
        }
        leased + self.take_locked(None, |buffer| buffer.pop_many_weighed(out, max - leased, max_weight))
    }

    #[inline]
    fn take_locked(&self, then: Option<Activity>, take: impl FnOnce(&mut BoundedBuffer<T>) -> usize) -> usize {
        let mut inner = self.shared.lock();
        let taken = take(&mut inner.buffer);
        if taken > 0 {
            if let Some(activity) = then {
                inner.recorder.works(activity);
            }
            let after = inner.settle_taken(taken, Moved::taken(taken));
            drop(inner);
            self.shared.carry_out(after);
        }
        taken
    }

    /// Polls for the next item. Pending keeps the latest waker.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.take_leased() {
            Some(item) => Poll::Ready(Some(item)),
            None => self.poll_recv_locked(cx),
        }
    }

    /// The same, with a share of the task's budget.
    #[inline]
    pub(crate) fn poll_recv_budgeted(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let taken = std::task::ready!(self.share.poll(cx));
        let polled = self.poll_recv(cx);
        if polled.is_ready() {
            self.share.keep(taken);
        }
        polled
    }

    #[inline(never)]
    fn poll_recv_locked(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = self.try_recv_locked() {
            return Poll::Ready(Some(item));
        }
        if self.shared.is_expiring {
            return self.poll_recv_expiring(cx);
        }
        std::task::ready!(self.poll_any(cx));
        Poll::Ready(self.try_recv_locked())
    }

    /// Polls for items, as [`recv_many`](Self::recv_many) does.
    pub fn poll_recv_many(&mut self, cx: &mut Context<'_>, out: &mut Vec<T>, max: usize) -> Poll<usize> {
        loop {
            let taken = self.take_many(out, max, usize::MAX, Some(Activity::BUSY));
            if taken > 0 || max == 0 {
                return Poll::Ready(taken);
            }
            std::task::ready!(self.poll_any(cx));
            let taken = self.take_many(out, max, usize::MAX, Some(Activity::BUSY));
            if taken > 0 || self.has_ended() {
                return Poll::Ready(taken);
            }
        }
    }

    /// Ready once there is anything. Until then the receiver is idle, and busy from then on.
    pub(crate) fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_demand_in(cx, Demand::ANY, Some(Activity::IDLE))
    }

    /// Ready once as much is queued as `demand` says, or the channel is closed. Until then an arrival that does not meet
    /// the demand wakes nobody. Pending keeps the latest waker, and the latest demand.
    ///
    /// Whoever waits so, for batches, says itself [what it does](Reporter::works) with its time.
    pub fn poll_demand(&mut self, cx: &mut Context<'_>, demand: Demand) -> Poll<()> {
        self.poll_demand_in(cx, demand, None)
    }

    /// Ready as [`poll_demand`](Self::poll_demand) is. While it is pending, the receiver shows this activity, if one is given.
    #[inline]
    fn poll_demand_in(&mut self, cx: &mut Context<'_>, demand: Demand, activity: Option<Activity>) -> Poll<()> {
        let mut inner = self.shared.lock();
        inner.recall();
        if inner.meets(demand) {
            return Poll::Ready(());
        }
        drop(inner);
        let waker = cx.waker().clone();
        let mut inner = self.shared.lock();
        let met = inner.meets(demand);
        let replaced = if met {
            Some((demand, waker))
        } else {
            if let Some(activity) = activity {
                inner.recorder.works(activity);
            }
            inner.hurry();
            inner.receiver.replace((demand, waker))
        };
        drop(inner);
        drop(replaced);
        if met { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Closes the channel: offers are handed back from now on, waiting producers are woken, and what is queued can still
    /// be received. Idempotent.
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Takes out everything that is queued, as lost for `reason`: it is handed to the caller instead of the hook.
    pub fn evacuate(&mut self, reason: DropReason) -> Vec<T> {
        self.shared.evacuate(self.lease.get(), reason)
    }

    /// Whether the channel takes nothing any more.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().buffer.is_closed()
    }

    /// Changes the channel's bounds and strategy while it is in use.
    pub fn handle(&self) -> ChannelHandle<T> {
        ChannelHandle::new(self.shared.clone())
    }

    /// How full the channel is, and what has happened in it.
    pub fn gauge(&self) -> Gauge {
        self.shared.gauge.clone()
    }

    /// Where the outcomes of received items are reported, if the channel was built to
    /// [track them](crate::Builder::track_outcomes).
    pub fn reporter(&self) -> Reporter {
        self.shared.reporter.clone()
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv_budgeted(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let mut inner = self.shared.lock();
        inner.recall();
        let queued = inner.buffer.len() + inner.buffer.lent();
        // What is queued may expire.
        let lower = if self.shared.is_expiring { 0 } else { queued };
        (lower, inner.buffer.is_closed().then_some(queued))
    }
}

impl<T> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        let mut inner = self.shared.lock();
        inner.recall();
        inner.buffer.is_closed() && inner.buffer.is_empty() && inner.buffer.lent() == 0
    }
}

impl<T> Unpin for Receiver<T> {}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut relay = Relay::new();
        relay.call(|| self.shared.close());
        relay.call(|| self.shared.clear(self.lease.get(), DropReason::Closed));
        relay.resume();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("gauge", &self.shared.gauge.state()).finish_non_exhaustive()
    }
}

/// Receives one item. Made by [`Receiver::recv`].
#[derive(Debug)]
#[must_use = "nothing is received unless this is awaited"]
pub struct Recv<'a, T> {
    pub(crate) receiver: &'a mut Receiver<T>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.poll_recv_budgeted(cx)
    }
}

/// Receives as many items as there are. Made by [`Receiver::recv_many`].
#[derive(Debug)]
#[must_use = "nothing is received unless this is awaited"]
pub struct RecvMany<'a, T> {
    pub(crate) receiver: &'a mut Receiver<T>,
    pub(crate) out: &'a mut Vec<T>,
    pub(crate) max: usize,
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        budgeted(cx, |cx| this.receiver.poll_recv_many(cx, this.out, this.max))
    }
}
