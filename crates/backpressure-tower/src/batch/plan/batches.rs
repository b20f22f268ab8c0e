//! The calls of each batch that has left its lane or the inbox.

use std::collections::VecDeque;
use std::time::Instant;

use backpressure_core::FlushReason;
use backpressure_rt::discard;
use slab::Slab;

/// Batches that are with the inner service, and parts of failed ones that [wait](Self::next) to go there again.
///
/// Calls are known by number, and so are batches: the numbers are small, as they are used as indices.
pub(crate) struct Batches<Req> {
    batches: Slab<Batch<Req>>,
    waiting: VecDeque<usize>,
    /// By call: the batch and the position in it that the call has, or had. A stale one is found out by who is there.
    positions: Vec<(usize, usize)>,
}

pub(crate) struct Batch<Req> {
    /// In the order of their requests; [`GONE`] where the caller is gone.
    calls: Vec<usize>,
    /// By position, where equal requests are united: which request is meant, and so which answer.
    places: Option<Vec<usize>>,
    /// Callers that are still there.
    live: usize,
    pub(crate) size: usize,
    pub(crate) reason: FlushReason,
    /// `None` where it is not timed.
    pub(crate) started: Option<Instant>,
    /// To be sent; of a batch that was sent, copies if copies are kept.
    pub(crate) requests: Vec<Req>,
}

/// In place of a call whose caller is gone.
pub(crate) const GONE: usize = usize::MAX;

impl<Req> Batch<Req> {
    /// A batch of these calls, each with the request of its position.
    pub(crate) fn new(calls: Vec<usize>, requests: Vec<Req>, reason: FlushReason, started: Option<Instant>) -> Self {
        Self { live: calls.len(), calls, places: None, size: requests.len(), reason, started, requests }
    }

    /// The same, where equal requests are united: `places` says which of those that are left each call means.
    pub(crate) fn united(mut self, places: Vec<usize>) -> Self {
        let mut sorted: Vec<_> = places.into_iter().zip(self.calls).collect();
        sorted.sort_by_key(|&(place, _)| place);
        let (places, calls) = sorted.into_iter().unzip();
        (self.places, self.calls) = (Some(places), calls);
        self
    }

    /// How many calls it had when it left.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Room for the calls of another one.
    pub(crate) fn into_spare(mut self) -> Vec<usize> {
        self.requests.drain(..).for_each(discard);
        self.calls.clear();
        self.calls
    }

    /// The calls whose callers are still there.
    pub(crate) fn calls(&self) -> impl Iterator<Item = usize> + '_ {
        self.calls.iter().copied().filter(|&call| call != GONE)
    }

    /// The calls that asked for this request, [`GONE`] where the caller is gone.
    #[inline]
    pub(crate) fn calls_for(&self, place: usize) -> &[usize] {
        let positions = match &self.places {
            None => place..place + 1,
            Some(places) => places.partition_point(|&of| of < place)..places.partition_point(|&of| of <= place),
        };
        self.calls.get(positions).unwrap_or_default()
    }

    /// The part whose requests are `from..to`, the next of these, without those that nobody waits for any more.
    fn part(&self, from: usize, to: usize, requests: &mut impl Iterator<Item = Req>) -> Option<Self> {
        let (mut calls, mut places, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (place, request) in (from..to).zip(requests) {
            let before = calls.len();
            calls.extend(self.calls_for(place).iter().filter(|&&call| call != GONE));
            if calls.len() == before {
                discard(request);
            } else {
                places.resize(calls.len(), kept.len());
                kept.push(request);
            }
        }
        let places = self.places.is_some().then_some(places);
        let part = Self::new(calls, kept, self.reason, self.started);
        (part.live > 0).then_some(Self { places, ..part })
    }

    /// Parts of `size` requests each, of a batch that has its requests.
    pub(crate) fn parts(mut self, size: usize) -> impl Iterator<Item = Self> {
        let mut requests = std::mem::take(&mut self.requests).into_iter();
        let size = size.max(1);
        let starts = (0..self.size).step_by(size);
        starts.filter_map(move |from| self.part(from, from.saturating_add(size).min(self.size), &mut requests))
    }
}

impl<Req> Batches<Req> {
    pub(crate) fn new() -> Self {
        Self { batches: Slab::new(), waiting: VecDeque::new(), positions: Vec::new() }
    }

    /// The number that the next batch will have.
    pub(crate) fn next_key(&self) -> usize {
        self.batches.vacant_key()
    }

    /// Takes in a batch that is with the inner service.
    pub(crate) fn insert(&mut self, batch: Batch<Req>) {
        let key = self.next_key();
        for (position, &call) in batch.calls.iter().enumerate() {
            if call >= self.positions.len() {
                self.positions.resize(call + 1, (usize::MAX, usize::MAX));
            }
            self.positions[call] = (key, position);
        }
        self.batches.insert(batch);
    }

    /// Takes in a batch that waits to go to the inner service.
    pub(crate) fn put_back(&mut self, batch: Batch<Req>) {
        self.waiting.push_back(self.next_key());
        self.insert(batch);
    }

    /// Whether a batch waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes out the batch that has waited for the longest time, without the requests of callers that are gone.
    pub(crate) fn next(&mut self) -> Option<Batch<Req>> {
        let batch = self.batches.try_remove(self.waiting.pop_front()?)?;
        let is_complete = batch.live == batch.calls.len();
        if is_complete { Some(batch) } else { batch.parts(usize::MAX).next() }
    }

    /// A batch came back.
    pub(crate) fn remove(&mut self, key: usize) -> Option<Batch<Req>> {
        self.batches.try_remove(key)
    }

    /// A caller is gone. If it was the last of its batch, that is answered: whatever is done for it may stop.
    pub(crate) fn cancel(&mut self, call: usize) -> Option<(usize, Batch<Req>)> {
        let &(key, position) = self.positions.get(call)?;
        let batch = self.batches.get_mut(key)?;
        *batch.calls.get_mut(position).filter(|present| **present == call)? = GONE;
        batch.live -= 1;
        if batch.live > 0 {
            return None;
        }
        self.waiting.retain(|waiting| *waiting != key);
        self.batches.try_remove(key).map(|batch| (key, batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(calls: &[usize], answers: &[usize]) -> Batch<char> {
        let requests = answers.iter().max().map_or(0, |last| last + 1);
        let batch = Batch::new(calls.to_vec(), ('a'..).take(requests).collect(), FlushReason::Full, None);
        if answers.iter().copied().eq(0..answers.len()) { batch } else { batch.united(answers.to_vec()) }
    }

    fn told(batch: &Batch<char>) -> (Vec<usize>, Vec<usize>, String) {
        let of = |place| batch.calls_for(place).iter().map(move |&call| (call, place));
        let (calls, answers) = (0..batch.size).flat_map(of).filter(|&(call, _)| call != GONE).unzip();
        (calls, answers, batch.requests.iter().collect())
    }

    #[test]
    fn x1_a_batch_is_over_when_its_last_caller_is_gone() {
        let mut batches = Batches::new();
        let key = batches.next_key();
        batches.insert(batch(&[4, 7], &[0, 1]));
        assert!(batches.cancel(5).is_none(), "never here");
        assert!(batches.cancel(4).is_none());
        assert!(batches.cancel(4).is_none(), "gone already");
        assert_eq!(batches.cancel(7).map(|(key, _)| key), Some(key));
        assert!(batches.batches.is_empty());
    }

    #[test]
    fn a_stale_position_is_nobodys() {
        let mut batches = Batches::new();
        let key = batches.next_key();
        batches.insert(batch(&[4, 7], &[0, 1]));
        assert!(batches.remove(key).is_some());
        assert_eq!(batches.next_key(), key, "the number is used again");
        batches.insert(batch(&[9, 3], &[0, 1]));
        assert!(batches.cancel(4).is_none());
        assert!(batches.cancel(9).is_none());
        assert!(batches.cancel(3).is_some(), "both of its own callers are gone");
    }

    #[test]
    fn parts_have_the_requests_of_their_members_and_no_others() {
        let mut whole = batch(&[0, 1, 2, 3, 4], &[0, 1, 2, 1, 3]);
        whole.calls.iter_mut().filter(|call| **call == 2).for_each(|call| *call = GONE);
        let parts: Vec<_> = whole.parts(2).map(|part| told(&part)).collect();
        assert_eq!(parts, [(vec![0, 1, 3], vec![0, 1, 1], "ab".into()), (vec![4], vec![0], "d".into())]);
    }

    #[test]
    fn a_part_that_nobody_waits_for_is_left_out() {
        let mut whole = batch(&[0, 1, 2], &[0, 1, 2]);
        whole.calls[1] = GONE;
        let parts: Vec<_> = whole.parts(1).map(|part| told(&part)).collect();
        assert_eq!(parts, [(vec![0], vec![0], "a".into()), (vec![2], vec![0], "c".into())]);
    }

    #[test]
    fn x1_a_batch_that_waits_loses_the_requests_of_those_who_leave() {
        let mut batches = Batches::new();
        batches.put_back(batch(&[5, 6, 7], &[0, 1, 0]));
        assert!(batches.cancel(6).is_none());
        assert_eq!(batches.next().map(|batch| told(&batch)), Some((vec![5, 7], vec![0, 0], "a".into())));
    }

    #[test]
    fn o1_what_is_put_back_goes_in_order_and_can_still_be_left() {
        let mut batches = Batches::new();
        batch(&[0, 1, 2], &[0, 1, 2]).parts(1).for_each(|part| batches.put_back(part));
        assert!(batches.cancel(1).is_some());
        let next = |batches: &mut Batches<char>| batches.next().map(|batch| batch.requests);
        assert_eq!(next(&mut batches), Some(vec!['a']));
        assert_eq!(next(&mut batches), Some(vec!['c']));
        assert!(!batches.has_waiting() && batches.batches.is_empty());
    }
}
