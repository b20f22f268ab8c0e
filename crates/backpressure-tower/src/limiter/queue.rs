//! The queue for slots, and who is next.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::limit::{CoDel, Criticality, Level};

use super::seats::{Seats, Verdict};
use crate::overloaded::ShedReason;

/// Callers that wait.
///
/// The most important class is first. Inside a class the oldest is, or the newest while the queue stands. No waker is
/// cloned, woken or dropped in here: they are handed out for that.
#[derive(Debug)]
pub(crate) struct Queue {
    rule: Option<CoDel>,
    /// A lane for each class, the oldest first: the numbers in it rise.
    lanes: [VecDeque<Waiter>; Criticality::ALL.len()],
    waiting: usize,
    next: u64,
    /// Seats that there are.
    seats: u32,
    /// Those of callers that do not wait any more: they are free, or soon will be.
    left: VecDeque<u32>,
    /// Those that were not free when it was their turn.
    unread: Vec<u32>,
    /// They are looked through when they are so many.
    most_unread: usize,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    class: Criticality,
    number: u64,
    seat: u32,
    is_endless: bool,
    /// Whether a slot that it was served can be taken back until it is told.
    is_revocable: bool,
    /// Whether the deadline is the caller's own, rather than the rule's.
    is_own: bool,
    /// When the caller is refused. The rule does not change its mind while anybody waits.
    deadline: Option<Instant>,
}

/// Who is next.
#[derive(Debug)]
pub(crate) struct Next {
    lane: usize,
    /// Rather than the oldest.
    is_newest: bool,
    pub(crate) key: Key,
    pub(crate) level: Level,
}

const FEW_UNREAD: usize = 8;

/// How long a caller waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// As long as it takes.
    Endless,
    /// As long as the queue's rule says from this moment on, but not beyond its own deadline.
    Since(Instant, Option<Instant>),
}

#[derive(Debug)]
struct Waiter {
    key: Key,
    level: Level,
    waker: Option<Waker>,
}

impl Queue {
    pub(crate) fn new(rule: Option<CoDel>) -> Self {
        let (left, unread) = (VecDeque::new(), Vec::new());
        Self { rule, lanes: Default::default(), waiting: 0, next: 0, seats: 0, left, unread, most_unread: FEW_UNREAD }
    }

    pub(crate) const fn len(&self) -> usize {
        self.waiting
    }

    /// Hands out the wakers of all who wait, without ending their wait.
    pub(crate) fn wakers(&mut self) -> Vec<Waker> {
        self.lanes.iter_mut().flatten().filter_map(|waiter| waiter.waker.take()).collect()
    }

    /// How many seats there are.
    pub(crate) const fn seats(&self) -> u32 {
        self.seats
    }

    /// Most callers that wait under this limit; none where no rule says.
    pub(crate) fn bound(&self, limit: usize) -> usize {
        self.rule.as_ref().map_or(0, |rule| rule.bound(limit))
    }

    /// Most callers that wait and say for how long they can.
    pub(crate) fn bound_told(&self, limit: usize) -> usize {
        self.rule.as_ref().map_or(0, |rule| rule.bound_told(limit))
    }

    #[inline]
    pub(crate) fn join(
        &mut self,
        now: Instant,
        level: Level,
        patience: Patience,
        waker: Option<Waker>,
        seats: &Seats,
    ) -> Key {
        self.waiting += 1;
        self.observe(now);
        if let (Some(rule), Patience::Since(since, own)) = (&mut self.rule, patience) {
            rule.joined(since, own);
        }
        let (deadline, own) = match patience {
            Patience::Endless => (None, None),
            Patience::Since(since, own) => (self.rule.as_ref().and_then(|rule| rule.deadline(since, own)), own),
        };
        let key = Key {
            class: level.criticality(),
            number: self.next,
            seat: self.seat(seats),
            is_endless: matches!(patience, Patience::Endless),
            // A service, rather than a call.
            is_revocable: waker.is_some(),
            is_own: own.is_some() && own == deadline,
            deadline,
        };
        self.next += 1;
        self.lanes[key.class as usize].push_back(Waiter { key, level, waker });
        key
    }

    /// A free seat. There are never many more than there were callers at a time that waited, or had not looked yet.
    #[inline]
    fn seat(&mut self, seats: &Seats) -> u32 {
        while let Some(seat) = self.left.pop_front() {
            if seats.occupy(seat) {
                return seat;
            }
            self.unread.push(seat);
        }
        self.another_seat(seats)
    }

    #[inline(never)]
    fn another_seat(&mut self, seats: &Seats) -> u32 {
        if self.unread.len() >= self.most_unread {
            let Self { unread, left, .. } = self;
            unread.retain(|&seat| {
                let is_free = seats.is_free(seat);
                left.extend(is_free.then_some(seat));
                !is_free
            });
            self.most_unread = 2 * self.unread.len() + FEW_UNREAD;
        }
        let seat = self.left.pop_front().unwrap_or(self.seats);
        self.seats = self.seats.max(seat + 1);
        seats.occupy(seat);
        seat
    }

    /// Who is next. Who waits as long as it takes is never overtaken by one that came later and does so, too.
    #[inline]
    pub(crate) fn next(&self, now: Instant) -> Option<Next> {
        let lane = self.lanes.iter().position(|lane| !lane.is_empty())?;
        let newest = self.lanes[lane].back().filter(|newest| !newest.key.is_endless && self.is_standing(now));
        let waiter = newest.or(self.lanes[lane].front())?;
        Some(Next { lane, is_newest: newest.is_some(), key: waiter.key, level: waiter.level })
    }

    fn is_standing(&self, now: Instant) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.is_standing(now))
    }

    /// Ends the wait of whoever was said to be next, under this same lock, and hands out its waker.
    #[inline]
    pub(crate) fn serve(&mut self, now: Instant, next: &Next, verdict: Verdict, seats: &Seats) -> Option<Waker> {
        let lane = &mut self.lanes[next.lane];
        let waiter = if next.is_newest { lane.pop_back() } else { lane.pop_front() }?;
        self.is_gone(now, waiter.key);
        seats.tell(waiter.key.seat, verdict, waiter.key.is_revocable);
        waiter.waker
    }

    /// Keeps the latest waker of a caller that waits, and hands back the one it replaces.
    ///
    /// # Errors
    ///
    /// Hands back the waker of a caller that does not wait any more.
    pub(crate) fn refresh(&mut self, key: Key, waker: Waker) -> Result<Option<Waker>, Waker> {
        match self.position(key) {
            Ok(at) => Ok(self.lanes[key.class as usize][at].waker.replace(waker)),
            Err(_) => Err(waker),
        }
    }

    /// Ends the wait of a caller that was not served; `None` if it does not wait. Its waker, if it has one, is to be
    /// dropped outside every lock.
    pub(crate) fn leave(&mut self, now: Instant, key: Key, seats: &Seats) -> Option<Option<Waker>> {
        let waiter = self.remove(now, key)?;
        seats.free(key.seat);
        Some(waiter.waker)
    }

    fn position(&self, key: Key) -> Result<usize, usize> {
        let lane = &self.lanes[key.class as usize];
        // Most who leave are first, most who ask are last.
        if lane.front().is_some_and(|first| first.key.number == key.number) {
            return Ok(0);
        }
        if lane.back().is_some_and(|last| last.key.number == key.number) {
            return Ok(lane.len() - 1);
        }
        lane.binary_search_by_key(&key.number, |waiter| waiter.key.number)
    }

    fn remove(&mut self, now: Instant, key: Key) -> Option<Waiter> {
        let at = self.position(key).ok()?;
        let waiter = self.lanes[key.class as usize].remove(at)?;
        self.is_gone(now, key);
        Some(waiter)
    }

    #[inline]
    fn is_gone(&mut self, now: Instant, key: Key) {
        self.left.push_back(key.seat);
        self.waiting -= 1;
        self.observe(now);
    }

    fn observe(&mut self, now: Instant) {
        if let Some(rule) = &mut self.rule {
            rule.observe(now, self.waiting);
        }
    }
}

impl Key {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn seat(&self) -> u32 {
        self.seat
    }

    pub(crate) const fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// When the caller is to be refused; `None` if never.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Why the caller, if its time is up, is refused.
    #[inline]
    pub(crate) fn overdue(&self, now: Instant) -> Option<ShedReason> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        Some(if self.is_own { ShedReason::Deadline } else { ShedReason::QueueTimeout })
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Part {
        queue: Queue,
        seats: Seats,
    }

    impl Part {
        fn new() -> Self {
            Self { queue: Queue::new(Some(CoDel::new())), seats: Seats::new() }
        }

        fn join(&mut self, now: Instant, level: impl Into<Level>, patience: Patience) -> Key {
            self.queue.join(now, level.into(), patience, None, &self.seats)
        }

        fn joined(&mut self, now: Instant, classes: &[Criticality]) -> Vec<Key> {
            classes.iter().map(|&class| self.join(now, class, Patience::Since(now, None))).collect()
        }

        fn order(&mut self, now: Instant) -> Vec<u64> {
            std::iter::from_fn(|| {
                let next = self.queue.next(now)?;
                self.queue.serve(now, &next, Verdict::Admitted(None), &self.seats);
                Some(next.key.number())
            })
            .collect()
        }
    }

    #[test]
    fn o4_first_come_first_served_inside_a_class() {
        use Criticality::{Critical, CriticalPlus, Sheddable};
        let (mut part, now) = (Part::new(), Instant::now());
        let keys = part.joined(now, &[Critical, Sheddable, Critical, CriticalPlus]);
        assert!(part.queue.leave(now, keys[0], &part.seats).is_some());
        assert!(part.queue.leave(now, keys[0], &part.seats).is_none());
        assert_eq!(part.order(now), [3, 2, 1]);
    }

    #[test]
    fn the_newest_is_first_while_the_queue_stands() {
        let (mut part, now) = (Part::new(), Instant::now());
        part.joined(now, &[Criticality::Critical; 3]);
        assert_eq!(part.order(now + 100 * MS), [2, 1, 0]);
    }

    #[test]
    fn o4_who_waits_for_as_long_as_it_takes_is_not_overtaken_however_long_the_queue_stands() {
        let (mut part, now) = (Part::new(), Instant::now());
        for patience in [Patience::Endless, Patience::Since(now, None), Patience::Endless] {
            part.join(now, Criticality::Critical, patience);
        }
        assert_eq!(part.order(now + 1000 * MS), [0, 1, 2]);
        for _ in 0..3 {
            part.join(now, Criticality::Critical, Patience::Endless);
        }
        assert_eq!(part.order(now + 1000 * MS), [3, 4, 5]);
    }

    #[test]
    fn a_caller_is_overdue_by_the_rule_or_by_its_own_deadline() {
        let (mut part, now) = (Part::new(), Instant::now());
        let plain = part.join(now, Level::default(), Patience::Since(now, None));
        let hurried = part.join(now, Level::default(), Patience::Since(now, Some(now + 10 * MS)));
        let endless = part.join(now, Level::default(), Patience::Endless);
        assert_eq!((plain.deadline(), hurried.deadline()), (Some(now + 50 * MS), Some(now + 10 * MS)));
        assert_eq!(endless.deadline(), None);
        assert_eq!((plain.overdue(now + 49 * MS), hurried.overdue(now + 9 * MS)), (None, None));
        assert_eq!(plain.overdue(now + 50 * MS), Some(ShedReason::QueueTimeout));
        assert_eq!(hurried.overdue(now + 10 * MS), Some(ShedReason::Deadline));
        assert_eq!(endless.overdue(now + 3600 * 1000 * MS), None);
    }

    #[test]
    fn c6_a_million_waits_need_no_more_seats_than_wait_at_a_time_even_if_one_is_never_read() {
        let (mut part, now) = (Part::new(), Instant::now());
        part.joined(now, &[Criticality::Critical; 4]);
        part.order(now);
        for _ in 0..10_000 {
            let keys = part.joined(now, &[Criticality::Critical; 3]);
            part.order(now);
            assert!(keys.iter().all(|key| part.seats.take(key.seat()) == Some(Verdict::Admitted(None))));
        }
        assert!(part.queue.seats < 32, "{} seats", part.queue.seats);
    }
}
