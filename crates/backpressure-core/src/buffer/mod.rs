//! The bounded buffer: a bound, a strategy, and a truthful answer to every offer.

mod ages;
mod exchange;
mod expiry;
mod fair;
mod lanes;
mod lending;
mod links;
mod ranking;
mod reading;
mod reconfigure;
mod store;
mod tag;
mod taking;

use std::collections::VecDeque;

pub use self::tag::Tag;
use crate::bound_marks::BoundMarks;
use crate::config::BackpressureConfig;
use crate::offer::{DropReason, Evicted, Offer};
use crate::state::State;
use crate::strategy::{Oversize, Strategy};
use ages::Expiry;
use store::Store;

/// A buffer that never holds more than its bound and answers every offer truthfully.
///
/// It is a plain value: no lock, no clock, no waker. It holds at most `capacity` items and, if it weighs, at most
/// `max_weight`; what does not fit meets the [`Strategy`]. Slots can be reserved ahead; a reserved slot is held like a
/// queued item. Nothing is allocated ahead of need, so a huge capacity costs nothing.
///
/// # Order
///
/// First in, first out. With [priorities](Self::prioritized), a higher priority first, and first in, first out inside a
/// priority. So that nothing starves, every 16th delivery is the oldest queued item whatever its priority: an item with
/// `n` older ones ahead of it leaves within `16 × (n + 1)` deliveries.
///
/// Where it is [fair](Self::fair), the keys take turns, and it is first in, first out inside a key.
///
/// # Expiry
///
/// With a [`max_age`](crate::BackpressureConfigBuilder::max_age), or [deadlines](Self::dated), nothing is given out that had
/// expired when the buffer was last [told the time](Self::expire).
///
/// ```
/// use backpressure_core::{BackpressureConfig, BoundedBuffer, Offer, Strategy, Tag};
///
/// let config = BackpressureConfig::builder().capacity(2).batch_items(1).strategy(Strategy::DropOldest).build()?;
/// let mut buffer = BoundedBuffer::new(&config);
/// assert_eq!(buffer.offer('a', Tag::default()), Offer::Accepted);
/// assert_eq!(buffer.offer('b', Tag::default()), Offer::Accepted);
/// let Offer::AcceptedEvicting(evicted) = buffer.offer('c', Tag::default()) else { unreachable!() };
/// assert_eq!(evicted.into_iter().collect::<String>(), "a");
/// assert_eq!(buffer.pop(), Some('b'));
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct BoundedBuffer<T> {
    store: Store<T>,
    strategy: Strategy,
    capacity: usize,
    max_weight: usize,
    oversize: Oversize,
    marks: BoundMarks,
    weight_marks: Option<BoundMarks>,
    queued: usize,
    weight: usize,
    reserved: usize,
    reserved_weight: usize,
    /// Items lent and, as far as is known, not taken; and those that ever were.
    lent: usize,
    taken_of_lent: u64,
    sampled: u32,
    accepted: u64,
    closed: bool,
    /// Items with a lower arrival number enter without a closer look: all of them, unless items expire; none once it is closed.
    open_until: u64,
    /// Only where items expire.
    expiry: Option<Box<Expiry<T>>>,
}

/// Items entering a plain queue: when it goes, by a panic if need be, they have been counted.
struct Run<'a, T> {
    queue: &'a mut VecDeque<T>,
    queued: &'a mut usize,
    accepted: &'a mut u64,
}

impl<T> Drop for Run<'_, T> {
    #[inline]
    fn drop(&mut self) {
        *self.accepted += (self.queue.len() - *self.queued) as u64;
        *self.queued = self.queue.len();
    }
}

impl<T> BoundedBuffer<T> {
    /// An empty buffer with the bounds and the strategy of `config`. It weighs its items if the config bounds the weight.
    pub fn new(config: &BackpressureConfig) -> Self {
        let watermarks = config.watermarks();
        let buffer = Self {
            store: Store::fifo(),
            strategy: config.strategy(),
            capacity: config.capacity(),
            max_weight: config.max_weight().unwrap_or(usize::MAX),
            oversize: config.oversize(),
            marks: BoundMarks::new(watermarks, config.hysteresis(), config.capacity()),
            weight_marks: config.max_weight().map(|max| BoundMarks::new(watermarks, config.hysteresis(), max)),
            queued: 0,
            weight: 0,
            reserved: 0,
            reserved_weight: 0,
            lent: 0,
            taken_of_lent: 0,
            sampled: 0,
            accepted: 0,
            closed: false,
            expiry: config.max_age().map(|max_age| Expiry::new(Some(max_age))),
            open_until: if config.max_age().is_some() { 0 } else { u64::MAX },
        };
        if config.max_weight().is_some() { Self { store: Store::weighed(), ..buffer } } else { buffer }
    }

    /// Offers an item. Takes constant time; only a heavy item that evicts several takes time in their number.
    #[inline(always)]
    pub fn offer(&mut self, item: T, tag: Tag) -> Offer<T> {
        self.offer_with(item, &tag)
    }

    /// The same where the tag is kept elsewhere: it is read only where it counts.
    #[doc(hidden)]
    #[inline(always)]
    pub fn offer_with(&mut self, mut item: T, tag: &Tag) -> Offer<T> {
        if self.closed {
            return Offer::Closed(item);
        }
        if self.thins_out() {
            return Offer::Dropped(item, DropReason::Sampled);
        }
        if self.fits(tag.weight) {
            self.insert(item, tag);
            return Offer::Accepted;
        }
        let strategy = self.strategy;
        // The tag is copied where it goes out of line, as in `Store::push`.
        match strategy {
            Strategy::Block { .. } | Strategy::Reject => Offer::Full(item),
            Strategy::DropNewest | Strategy::Sample { .. } => Offer::Dropped(item, DropReason::Overflow),
            Strategy::DropOldest if self.swap_with_oldest(&mut item) => Offer::AcceptedEvicting(Evicted::one(item)),
            Strategy::DropOldest if self.is_fair() => self.offer_fair(item, &{ *tag }),
            Strategy::DropOldest if self.makes_room(usize::MAX, usize::MAX, tag.weight) => {
                self.insert_evicting(item, &{ *tag }, Store::pop_oldest)
            }
            Strategy::DropLowest if self.ranks_above_enough(tag) => {
                self.insert_evicting(item, &{ *tag }, Store::pop_last)
            }
            Strategy::DropOldest | Strategy::DropLowest => Offer::Dropped(item, DropReason::Overflow),
        }
    }

    /// Takes `item` in where that is all there is to an [`offer`](Self::offer), whatever its [`Tag`]: the buffer is open and has
    /// room, nothing is weighed, ranked or sampled, and the time need not be [told](Self::expire) before. [`Recorder::pushed`](crate::Recorder::pushed) publishes this.
    ///
    /// # Errors
    ///
    /// The item, if it is not so: it is still to be offered.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        let mut item = Some(item);
        self.push_with(|| item.take().expect("it is asked for once"));
        item.map_or(Ok(()), Err)
    }

    /// The same for what `item` gives. It is asked only where the answer is taken in, so that a large item is moved straight
    /// from where it is. Returns whether it was.
    ///
    /// Should `item` panic, nothing has happened.
    #[doc(hidden)]
    #[inline]
    pub fn push_with(&mut self, item: impl FnOnce() -> T) -> bool {
        let Store::Fifo(queue) = &mut self.store else { return false };
        let held = self.queued + self.reserved + self.lent;
        if held >= self.capacity || self.accepted >= self.open_until || matches!(self.strategy, Strategy::Sample { .. })
        {
            return false;
        }
        queue.push_back(item());
        self.queued += 1;
        self.accepted += 1;
        true
    }

    /// Whether the items that rank below this one could make the room for it.
    #[inline]
    fn ranks_above_enough(&self, tag: &Tag) -> bool {
        let (items, weight) = self.store.below(tag.priority);
        self.makes_room(items, weight, tag.weight)
    }

    /// Whether so many victims, of `weight` together, could make the room for an item that weighs `wanted`.
    #[inline]
    fn makes_room(&self, items: usize, weight: usize, wanted: usize) -> bool {
        let kept = self.queued.saturating_sub(items).saturating_add(self.reserved + self.lent);
        let kept_weight = self.weight.saturating_sub(weight).saturating_add(self.reserved_weight);
        kept < self.capacity && self.bears(kept_weight, self.counted(wanted))
    }

    /// Admits `item` in exchange for what `victim` picks. There are enough victims.
    #[inline]
    fn insert_evicting(
        &mut self,
        item: T,
        tag: &Tag,
        victim: impl Fn(&mut Store<T>) -> Option<(T, usize)>,
    ) -> Offer<T> {
        let mut evicted: Option<Evicted<T>> = None;
        while !self.fits(tag.weight) {
            let Some((out, out_weight)) = victim(&mut self.store) else { break };
            self.queued -= 1;
            self.weight = self.weight.saturating_sub(out_weight);
            match &mut evicted {
                None => evicted = Some(Evicted::one(out)),
                Some(several) => several.push(out),
            }
        }
        self.insert(item, tag);
        evicted.map_or(Offer::Accepted, Offer::AcceptedEvicting)
    }

    /// Takes in what `next` has, each with the default [`Tag`]: at most `most` items, and only while there is room, so that
    /// nothing is asked of `next` that would not fit. Returns how many. The strategy plays no part.
    ///
    /// Cheaper than one [`offer`](Self::offer) after the other. Should `next` panic, what it gave before is in the buffer.
    #[inline]
    pub fn extend(&mut self, most: usize, mut next: impl FnMut() -> Option<T>) -> usize {
        let mut added = 0;
        if let (Store::Fifo(queue), false) = (&mut self.store, self.closed) {
            let most = most.min(self.capacity.saturating_sub(self.queued + self.reserved + self.lent));
            let run = Run { queue, queued: &mut self.queued, accepted: &mut self.accepted };
            while added < most {
                let Some(item) = next() else { break };
                run.queue.push_back(item);
                added += 1;
            }
            return added;
        }
        while added < most && !self.closed && self.fits(Tag::default().weight) {
            let Some(item) = next() else { break };
            self.insert(item, &Tag::default());
            added += 1;
        }
        added
    }

    /// Slots that are free.
    #[inline]
    pub const fn room(&self) -> usize {
        self.capacity.saturating_sub(self.held())
    }

    /// Whether an item of this weight would be accepted now, without the help of the strategy.
    #[inline]
    pub fn has_room(&self, weight: usize) -> bool {
        !self.closed && self.fits(weight)
    }

    /// Holds a slot, and `weight` of the weight bound, for a later [`fill`](Self::fill). Refused when there is no room.
    #[inline]
    pub fn try_reserve(&mut self, weight: usize) -> bool {
        let reserves = self.has_room(weight);
        if reserves {
            self.reserved += 1;
            self.reserved_weight = self.reserved_weight.saturating_add(self.counted(weight));
        }
        reserves
    }

    /// Gives a reserved slot back, with the weight it was reserved with.
    #[inline]
    pub fn release(&mut self, weight: usize) {
        self.reserved = self.reserved.saturating_sub(1);
        self.reserved_weight = self.reserved_weight.saturating_sub(self.counted(weight));
    }

    /// Puts an item into a slot reserved with `reserved_weight`. An item no heavier than that is always
    /// [`Accepted`](Offer::Accepted) while the buffer is open; a heavier one may find it [`Full`](Offer::Full). The
    /// reservation is used up in every case.
    #[inline]
    pub fn fill(&mut self, item: T, tag: Tag, reserved_weight: usize) -> Offer<T> {
        self.release(reserved_weight);
        if self.closed {
            Offer::Closed(item)
        } else if self.counted(tag.weight) <= self.counted(reserved_weight) || self.fits(tag.weight) {
            self.insert(item, &tag);
            Offer::Accepted
        } else {
            Offer::Full(item)
        }
    }

    /// Takes nothing more in; what is queued can still be taken out. Idempotent.
    pub fn close(&mut self) {
        self.closed = true;
        self.open_until = 0;
    }

    /// Whether the queued items alone are as many as the bound allows, and no more.
    #[inline]
    const fn is_just_full(&self) -> bool {
        self.queued == self.capacity && self.reserved + self.lent == 0
    }

    #[inline]
    fn fits(&self, weight: usize) -> bool {
        self.fits_beside(self.held(), self.held_weight(), weight)
    }

    /// Whether both weights together are within the bound. A sum too large to be counted is not.
    #[inline]
    fn bears(&self, held: usize, weight: usize) -> bool {
        held.checked_add(weight).is_some_and(|together| together <= self.max_weight)
    }

    #[inline(always)]
    fn insert(&mut self, item: T, tag: &Tag) {
        let weight = self.counted(tag.weight);
        self.store.push(item, tag, weight, self.accepted);
        self.accepted += 1;
        self.queued += 1;
        self.weight = self.weight.saturating_add(weight);
    }

    #[inline]
    const fn counted(&self, weight: usize) -> usize {
        if self.weight_marks.is_some() { weight } else { 0 }
    }

    /// Counts an offer made under pressure, and tells whether it is outside the sample. Every such offer moves the count,
    /// admitted or not, so the sample cannot stick.
    #[inline]
    fn thins_out(&mut self) -> bool {
        let Strategy::Sample { one_in } = self.strategy else { return false };
        if self.state(State::Normal) == State::Normal {
            return false;
        }
        let skipped = self.sampled != 0;
        self.sampled = if self.sampled + 1 >= one_in { 0 } else { self.sampled + 1 };
        skipped
    }
}

#[cfg(test)]
mod tests;
