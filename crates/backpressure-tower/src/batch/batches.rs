//! Which calls are in which batch that has left its lane. A plain value.

use std::time::Instant;

use backpressure_core::FlushReason;
use slab::Slab;

use super::links::Line;

/// Batches that are with the inner service, and parts of failed ones that [wait](Self::next) to go there again.
///
/// Calls are known by number, and so are batches: the numbers are small, as they are used as indices.
#[derive(Debug)]
pub(super) struct Batches<Req> {
    batches: Slab<Batch<Req>>,
    waiting: Line,
    /// By call: the batch and the position in it that the call has, or had.
    seats: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub(super) struct Batch<Req> {
    pub(super) members: Vec<Member>,
    /// Members whose callers are still there.
    live: usize,
    /// Requests in the batch: fewer than members where equal ones are united.
    pub(super) requests: usize,
    pub(super) reason: FlushReason,
    pub(super) started: Instant,
    /// The requests: of a batch that waits, to be sent; of one that was sent, copies if copies are kept.
    pub(super) copies: Vec<Req>,
    waits: bool,
}

/// A call in a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// `None` once the caller is gone.
    pub(super) call: Option<usize>,
    /// Which request it made, and so which answer is its own.
    pub(super) answer: usize,
}

impl<Req> Batch<Req> {
    /// A batch of these members, for this many requests.
    pub(super) fn new(members: Vec<Member>, requests: usize, reason: FlushReason, started: Instant) -> Self {
        let live = members.iter().filter(|member| member.call.is_some()).count();
        Self { members, live, requests, reason, started, copies: Vec::new(), waits: false }
    }

    /// The calls whose callers are still there.
    pub(super) fn calls(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.iter().filter_map(|member| member.call)
    }

    /// The part whose requests are `from..to`, without those that nobody waits for any more. `copies` gives the requests.
    fn part(&self, from: usize, to: usize, copies: &mut impl Iterator<Item = Req>) -> Option<Self> {
        let mut places: Vec<Option<usize>> = vec![None; to - from];
        let inside = |member: &Member| member.call.is_some() && (from..to).contains(&member.answer);
        let mut members: Vec<Member> = self.members.iter().copied().filter(inside).collect();
        members.iter().for_each(|member| places[member.answer - from] = Some(0));
        for (place, number) in places.iter_mut().flatten().zip(0..) {
            *place = number;
        }
        for member in &mut members {
            member.answer = places[member.answer - from].unwrap_or_default();
        }
        let wanted = places.iter().zip(copies.by_ref().take(to - from)).filter(|(place, _)| place.is_some());
        let copies: Vec<Req> = wanted.map(|(_, request)| request).collect();
        let part = Self::new(members, copies.len(), self.reason, self.started);
        (part.live > 0).then_some(Self { copies, ..part })
    }

    /// Parts of `size` requests each, of a batch of which copies were kept.
    pub(super) fn parts(mut self, size: usize) -> impl Iterator<Item = Self> {
        let mut copies = std::mem::take(&mut self.copies).into_iter();
        let size = size.max(1);
        let starts = (0..self.requests).step_by(size);
        starts.filter_map(move |from| self.part(from, from.saturating_add(size).min(self.requests), &mut copies))
    }
}

impl<Req> Batches<Req> {
    pub(super) fn new() -> Self {
        Self { batches: Slab::new(), waiting: Line::default(), seats: Vec::new() }
    }

    /// Takes in a batch that goes to the inner service.
    pub(super) fn insert(&mut self, batch: Batch<Req>) -> usize {
        let entry = self.batches.vacant_entry();
        let key = entry.key();
        for (member, seat) in batch.members.iter().zip(0..) {
            let Some(call) = member.call else { continue };
            if call >= self.seats.len() {
                self.seats.resize(call + 1, (usize::MAX, usize::MAX));
            }
            self.seats[call] = (key, seat);
        }
        entry.insert(batch);
        key
    }

    /// Takes in a batch that waits to go to the inner service.
    pub(super) fn put_back(&mut self, batch: Batch<Req>) {
        let key = self.insert(Batch { waits: true, ..batch });
        self.waiting.push(key);
    }

    /// Whether a batch waits.
    pub(super) const fn has_waiting(&self) -> bool {
        self.waiting.len() > 0
    }

    /// Takes out the batch that has waited for the longest time, without the requests of callers that are gone.
    pub(super) fn next(&mut self) -> Option<Batch<Req>> {
        let batch = self.batches.try_remove(self.waiting.pop()?)?;
        let is_complete = batch.live == batch.members.len();
        if is_complete { Some(Batch { waits: false, ..batch }) } else { batch.parts(usize::MAX).next() }
    }

    /// A batch came back.
    pub(super) fn remove(&mut self, key: usize) -> Option<Batch<Req>> {
        self.batches.try_remove(key)
    }

    /// A caller is gone. If it was the last of its batch, that is answered: whatever is done for it may stop.
    pub(super) fn leave(&mut self, call: usize) -> Option<(usize, Batch<Req>)> {
        let &(key, seat) = self.seats.get(call)?;
        let batch = self.batches.get_mut(key)?;
        let member = batch.members.get_mut(seat).filter(|member| member.call == Some(call))?;
        member.call = None;
        batch.live -= 1;
        if batch.live > 0 {
            return None;
        }
        if batch.waits {
            self.waiting.remove(key);
        }
        self.batches.try_remove(key).map(|batch| (key, batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(calls: &[usize], answers: &[usize]) -> Batch<char> {
        let members = calls.iter().zip(answers).map(|(&call, &answer)| Member { call: Some(call), answer }).collect();
        let requests = answers.iter().max().map_or(0, |last| last + 1);
        let copies = ('a'..).take(requests).collect();
        Batch { copies, ..Batch::new(members, requests, FlushReason::Full, Instant::now()) }
    }

    fn told(batch: &Batch<char>) -> (Vec<usize>, Vec<usize>, String) {
        let answers = batch.members.iter().map(|member| member.answer).collect();
        (batch.calls().collect(), answers, batch.copies.iter().collect())
    }

    #[test]
    fn x1_a_batch_is_over_when_its_last_caller_is_gone() {
        let mut batches = Batches::new();
        let key = batches.insert(batch(&[4, 7], &[0, 1]));
        assert!(batches.leave(5).is_none(), "never here");
        assert!(batches.leave(4).is_none());
        assert!(batches.leave(4).is_none(), "gone already");
        assert_eq!(batches.leave(7).map(|(key, _)| key), Some(key));
        assert!(batches.batches.is_empty());
    }

    #[test]
    fn a_stale_seat_is_nobodys() {
        let mut batches = Batches::new();
        let key = batches.insert(batch(&[4, 7], &[0, 1]));
        assert!(batches.remove(key).is_some());
        assert_eq!(batches.insert(batch(&[9, 3], &[0, 1])), key, "the number is used again");
        assert!(batches.leave(4).is_none());
        assert!(batches.leave(9).is_none());
        assert!(batches.leave(3).is_some(), "both of its own callers are gone");
    }

    #[test]
    fn parts_have_the_requests_of_their_members_and_no_others() {
        let mut whole = batch(&[0, 1, 2, 3, 4], &[0, 1, 2, 1, 3]);
        whole.members[2].call = None;
        let parts: Vec<_> = whole.parts(2).map(|part| told(&part)).collect();
        assert_eq!(parts, [(vec![0, 1, 3], vec![0, 1, 1], "ab".into()), (vec![4], vec![0], "d".into())]);
    }

    #[test]
    fn a_part_that_nobody_waits_for_is_left_out() {
        let mut whole = batch(&[0, 1, 2], &[0, 1, 2]);
        whole.members[1].call = None;
        let parts: Vec<_> = whole.parts(1).map(|part| told(&part)).collect();
        assert_eq!(parts, [(vec![0], vec![0], "a".into()), (vec![2], vec![0], "c".into())]);
    }

    #[test]
    fn x1_a_batch_that_waits_loses_the_requests_of_those_who_leave() {
        let mut batches = Batches::new();
        batches.put_back(batch(&[5, 6, 7], &[0, 1, 0]));
        assert!(batches.leave(6).is_none());
        assert_eq!(batches.next().map(|batch| told(&batch)), Some((vec![5, 7], vec![0, 0], "a".into())));
    }

    #[test]
    fn o1_what_is_put_back_goes_in_order_and_can_still_be_left() {
        let mut batches = Batches::new();
        batch(&[0, 1, 2], &[0, 1, 2]).parts(1).for_each(|part| batches.put_back(part));
        assert!(batches.leave(1).is_some());
        let next = |batches: &mut Batches<char>| batches.next().map(|batch| batch.copies);
        assert_eq!(next(&mut batches), Some(vec!['a']));
        assert_eq!(next(&mut batches), Some(vec!['c']));
        assert!(!batches.has_waiting() && batches.batches.is_empty());
    }
}
