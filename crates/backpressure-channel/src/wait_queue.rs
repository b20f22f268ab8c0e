//! The queue of waiting producers, first come, first served.

use std::task::Waker;

use slab::Slab;

const NONE: usize = usize::MAX;

/// A doubly linked list over a slab: joining, leaving from anywhere and serving the head take constant time, and a queue
/// that has been as long before allocates nothing.
///
/// Whoever joins keeps a key, and is a member until it [leaves](Self::leave): first waiting, in the list; then served,
/// or dismissed, out of the list. No waker is ever cloned, woken or dropped in here: they are handed out for that.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    members: Slab<Member>,
    head: usize,
    tail: usize,
}

#[derive(Debug)]
struct Member {
    weight: usize,
    /// `None` once woken to be served, to be dismissed, or to see that the channel is closed.
    waker: Option<Waker>,
    standing: Standing,
    prev: usize,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waiting,
    Served,
    Dismissed,
}

/// What a member that leaves was, and its waker, to be dropped outside every lock.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) served: bool,
    pub(crate) _waker: Option<Waker>,
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self { members: Slab::new(), head: NONE, tail: NONE }
    }

    /// Whether nobody waits.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// Joins at the end, wanting room for `weight`.
    pub(crate) fn join(&mut self, weight: usize, waker: Waker) -> usize {
        let member = Member { weight, waker: Some(waker), standing: Standing::Waiting, prev: self.tail, next: NONE };
        let key = self.members.insert(member);
        match self.tail {
            NONE => self.head = key,
            tail => self.members[tail].next = key,
        }
        self.tail = key;
        key
    }

    /// Whether this member has been served.
    pub(crate) fn is_served(&self, key: usize) -> bool {
        self.members[key].standing == Standing::Served
    }

    /// Whether this member is still in line.
    pub(crate) fn is_waiting(&self, key: usize) -> bool {
        self.members[key].standing == Standing::Waiting
    }

    /// Whether this member has been sent away.
    pub(crate) fn is_dismissed(&self, key: usize) -> bool {
        self.members[key].standing == Standing::Dismissed
    }

    /// Keeps the latest waker of a waiting member, and hands back the one it replaces.
    pub(crate) fn refresh(&mut self, key: usize, waker: Waker) -> Option<Waker> {
        self.members[key].waker.replace(waker)
    }

    /// The first in line of those whose weight is not passed over, and what it wants.
    #[inline]
    pub(crate) fn first(&self, is_passed_over: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let mut key = self.head;
        while let Some(member) = self.members.get(key) {
            if !is_passed_over(member.weight) {
                return Some((key, member.weight));
            }
            key = member.next;
        }
        None
    }

    /// Serves one in line, and hands out its waker.
    pub(crate) fn serve(&mut self, key: usize) -> Option<Waker> {
        self.unlink(key);
        let member = &mut self.members[key];
        member.standing = Standing::Served;
        member.waker.take()
    }

    /// Hands out the wakers of everyone still waiting, without serving them.
    pub(crate) fn wakers(&mut self) -> Vec<Waker> {
        self.members.iter_mut().filter_map(|(_, member)| member.waker.take()).collect()
    }

    /// Sends away all in line whose weight is not to wait, and hands out their wakers in the order of the line.
    pub(crate) fn dismiss(&mut self, is_dismissed: impl Fn(usize) -> bool) -> Vec<Waker> {
        let (mut wakers, mut key) = (Vec::new(), self.head);
        while let Some(member) = self.members.get_mut(key) {
            let (this, next) = (key, member.next);
            if is_dismissed(member.weight) {
                member.standing = Standing::Dismissed;
                wakers.extend(member.waker.take());
                self.unlink(this);
            }
            key = next;
        }
        wakers
    }

    /// Ends a membership.
    pub(crate) fn leave(&mut self, key: usize) -> Left {
        if self.is_waiting(key) {
            self.unlink(key);
        }
        let member = self.members.remove(key);
        Left { served: member.standing == Standing::Served, _waker: member.waker }
    }

    fn unlink(&mut self, key: usize) {
        let Member { prev, next, .. } = self.members[key];
        match prev {
            NONE => self.head = next,
            prev => self.members[prev].next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => self.members[next].prev = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve_all(queue: &mut WaitQueue) -> Vec<usize> {
        std::iter::from_fn(|| {
            let (key, weight) = queue.first(|_| false)?;
            queue.serve(key);
            Some(weight)
        })
        .collect()
    }

    #[test]
    fn o4_the_first_to_come_is_the_first_served_whoever_leaves_in_between() {
        for leaver in 0..4 {
            let mut queue = WaitQueue::new();
            let keys: Vec<_> = (0..4).map(|n| queue.join(n, Waker::noop().clone())).collect();
            assert!(!queue.leave(keys[leaver]).served);
            let expected: Vec<_> = (0..4).filter(|&n| n != leaver).collect();
            assert_eq!(serve_all(&mut queue), expected);
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn o4_those_who_are_passed_over_keep_their_places() {
        let mut queue = WaitQueue::new();
        let [heavy, light, other] = [9, 1, 2].map(|weight| queue.join(weight, Waker::noop().clone()));
        assert_eq!(queue.first(|weight| weight > 5), Some((light, 1)));
        queue.serve(light);
        assert_eq!(queue.first(|weight| weight > 1), None);
        assert_eq!(queue.first(|weight| weight > 5), Some((other, 2)));
        assert_eq!(queue.first(|_| false), Some((heavy, 9)));
    }

    #[test]
    fn r3_those_who_are_dismissed_leave_the_line_and_the_others_keep_their_places() {
        let mut queue = WaitQueue::new();
        let [a, b, c, d] = [9, 1, 9, 2].map(|weight| queue.join(weight, Waker::noop().clone()));
        queue.serve(a);
        assert_eq!(queue.dismiss(|weight| weight > 5).len(), 1, "who is served is out of the line");
        assert_eq!(
            [a, b, c, d].map(|key| (queue.is_served(key), queue.is_dismissed(key))),
            [(true, false), (false, false), (false, true), (false, false)]
        );
        assert!(!queue.leave(c).served);
        assert_eq!(serve_all(&mut queue), [1, 2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn x1_members_that_come_and_go_leave_nothing_behind() {
        let mut queue = WaitQueue::new();
        let patient = queue.join(1, Waker::noop().clone());
        for _ in 0..1_000 {
            let a = queue.join(2, Waker::noop().clone());
            let b = queue.join(3, Waker::noop().clone());
            queue.leave(a);
            queue.leave(b);
        }
        assert!(queue.members.capacity() <= 4);
        queue.serve(patient);
        assert!(queue.is_served(patient));
        assert!(queue.leave(patient).served);
        assert!(queue.members.is_empty());
    }
}
