//! Who waits for a slot, and who is next.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::limit::{CoDel, Criticality, Level};

use crate::overloaded::ShedReason;

/// Callers that wait, and those that were served and have not looked yet.
///
/// The most important class is first. Inside a class the oldest is, or the newest while the queue stands. No waker is
/// cloned, woken or dropped in here: they are handed out for that.
#[derive(Debug)]
pub(crate) struct Queue {
    rule: Option<CoDel>,
    /// A lane for each class, the oldest first: the numbers in it rise.
    lanes: [VecDeque<Waiter>; Criticality::ALL.len()],
    waiting: usize,
    /// In the order in which they were woken, which is that in which most of them look.
    served: VecDeque<(u64, Verdict)>,
    next: u64,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    class: Criticality,
    number: u64,
}

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
    number: u64,
    level: Level,
    patience: Patience,
    waker: Option<Waker>,
}

/// What became of a caller that waited.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// It has had a slot since this moment, if anybody has looked at a clock.
    Admitted(Option<Instant>),
    Refused(ShedReason),
}

impl Queue {
    pub(crate) fn new(rule: Option<CoDel>) -> Self {
        Self { rule, lanes: Default::default(), waiting: 0, served: VecDeque::new(), next: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.waiting
    }

    /// Most callers that wait under this limit; none where no rule says.
    pub(crate) fn bound(&self, limit: usize) -> usize {
        self.rule.as_ref().map_or(0, |rule| rule.bound(limit))
    }

    pub(crate) fn join(&mut self, now: Instant, level: Level, patience: Patience, waker: Option<Waker>) -> Key {
        let key = Key { class: level.criticality(), number: self.next };
        self.next += 1;
        self.lanes[key.class as usize].push_back(Waiter { number: key.number, level, patience, waker });
        self.waiting += 1;
        self.observe(now);
        key
    }

    /// Who is next, and its level.
    pub(crate) fn next(&self, now: Instant) -> Option<(Key, Level)> {
        let lane = self.lanes.iter().find(|lane| !lane.is_empty())?;
        let is_standing = self.rule.as_ref().is_some_and(|rule| rule.is_standing(now));
        let waiter = if is_standing { lane.back() } else { lane.front() }?;
        Some((waiter.key(), waiter.level))
    }

    /// When a caller that waits is to be refused; `None` if never, or if it does not wait.
    pub(crate) fn deadline(&self, key: Key) -> Option<Instant> {
        let rule = self.rule.as_ref()?;
        match self.waiter(key)?.patience {
            Patience::Endless => None,
            Patience::Since(since, own) => rule.deadline(since, own),
        }
    }

    /// Why a caller whose time is up is refused.
    pub(crate) fn overdue(&self, key: Key, now: Instant) -> Option<ShedReason> {
        if self.deadline(key).is_none_or(|deadline| now < deadline) {
            return None;
        }
        match self.waiter(key)?.patience {
            Patience::Since(_, Some(own)) if own <= now => Some(ShedReason::Deadline),
            _ => Some(ShedReason::QueueTimeout),
        }
    }

    /// Ends the wait of a caller, and hands out its waker.
    pub(crate) fn serve(&mut self, now: Instant, key: Key, verdict: Verdict) -> Option<Waker> {
        let waiter = self.remove(now, key)?;
        self.served.push_back((key.number, verdict));
        waiter.waker
    }

    /// Whether a caller waits, and would be woken by this waker.
    pub(crate) fn is_known(&self, key: Key, waker: &Waker) -> bool {
        self.waiter(key).is_some_and(|waiter| waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)))
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

    /// What became of a caller that was served. It is told once.
    pub(crate) fn take_verdict(&mut self, key: Key) -> Option<Verdict> {
        let at = self.served.iter().position(|(number, _)| *number == key.number)?;
        self.served.remove(at).map(|(_, verdict)| verdict)
    }

    /// Ends the wait of a caller that was not served; `None` if it does not wait. Its waker, if it has one, is to be
    /// dropped outside every lock.
    pub(crate) fn leave(&mut self, now: Instant, key: Key) -> Option<Option<Waker>> {
        Some(self.remove(now, key)?.waker)
    }

    /// Anyone who waits.
    pub(crate) fn any(&self) -> Option<Key> {
        self.lanes.iter().find_map(|lane| lane.front().map(Waiter::key))
    }

    fn position(&self, key: Key) -> Result<usize, usize> {
        let lane = &self.lanes[key.class as usize];
        // Most who leave are first, most who ask are last.
        if lane.front().is_some_and(|first| first.number == key.number) {
            return Ok(0);
        }
        if lane.back().is_some_and(|last| last.number == key.number) {
            return Ok(lane.len() - 1);
        }
        lane.binary_search_by_key(&key.number, |waiter| waiter.number)
    }

    fn waiter(&self, key: Key) -> Option<&Waiter> {
        self.position(key).ok().and_then(|at| self.lanes[key.class as usize].get(at))
    }

    fn remove(&mut self, now: Instant, key: Key) -> Option<Waiter> {
        let at = self.position(key).ok()?;
        let waiter = self.lanes[key.class as usize].remove(at)?;
        self.waiting -= 1;
        self.observe(now);
        Some(waiter)
    }

    fn observe(&mut self, now: Instant) {
        if let Some(rule) = &mut self.rule {
            rule.observe(now, self.waiting);
        }
    }
}

impl Waiter {
    const fn key(&self) -> Key {
        Key { class: self.level.criticality(), number: self.number }
    }
}

impl Key {
    pub(crate) const fn number(self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn order(queue: &mut Queue, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| {
            let (key, _) = queue.next(now)?;
            queue.serve(now, key, Verdict::Admitted(Some(now)));
            Some(key.number())
        })
        .collect()
    }

    fn joined(queue: &mut Queue, now: Instant, classes: &[Criticality]) -> Vec<Key> {
        classes.iter().map(|&class| queue.join(now, class.into(), Patience::Since(now, None), None)).collect()
    }

    #[test]
    fn o4_first_come_first_served_inside_a_class() {
        use Criticality::{Critical, CriticalPlus, Sheddable};
        let (mut queue, now) = (Queue::new(Some(CoDel::new())), Instant::now());
        let keys = joined(&mut queue, now, &[Critical, Sheddable, Critical, CriticalPlus]);
        assert!(queue.leave(now, keys[0]).is_some());
        assert!(queue.leave(now, keys[0]).is_none());
        assert_eq!(order(&mut queue, now), [3, 2, 1]);
    }

    #[test]
    fn the_newest_is_first_while_the_queue_stands() {
        let (mut queue, now) = (Queue::new(Some(CoDel::new())), Instant::now());
        joined(&mut queue, now, &[Criticality::Critical; 3]);
        assert_eq!(order(&mut queue, now + 100 * MS), [2, 1, 0]);
    }

    #[test]
    fn a_caller_is_overdue_by_the_rule_or_by_its_own_deadline() {
        let (mut queue, now) = (Queue::new(Some(CoDel::new())), Instant::now());
        let plain = queue.join(now, Level::default(), Patience::Since(now, None), None);
        let hurried = queue.join(now, Level::default(), Patience::Since(now, Some(now + 10 * MS)), None);
        let endless = queue.join(now, Level::default(), Patience::Endless, None);
        assert_eq!((queue.deadline(plain), queue.deadline(hurried)), (Some(now + 50 * MS), Some(now + 10 * MS)));
        assert_eq!(queue.deadline(endless), None);
        assert_eq!((queue.overdue(plain, now + 49 * MS), queue.overdue(hurried, now + 9 * MS)), (None, None));
        assert_eq!(queue.overdue(plain, now + 50 * MS), Some(ShedReason::QueueTimeout));
        assert_eq!(queue.overdue(hurried, now + 10 * MS), Some(ShedReason::Deadline));
        assert_eq!(queue.overdue(endless, now + 3600 * 1000 * MS), None);
    }
}
