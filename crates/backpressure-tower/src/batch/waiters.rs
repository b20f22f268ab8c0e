//! Handles waiting for room, first come, first served.

use std::task::Waker;

use slab::Slab;

use super::links::Line;

/// Whoever joins keeps a key and is a member until it [leaves](Self::leave): first in line, then with a place of its own.
///
/// No waker is cloned, woken or dropped in here: they are handed out for that.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    members: Slab<Member>,
    line: Line,
}

#[derive(Debug)]
struct Member {
    /// `None` once woken.
    waker: Option<Waker>,
    has_place: bool,
}

impl Waiters {
    /// Whether nobody is in line.
    pub(super) const fn is_empty(&self) -> bool {
        self.line.len() == 0
    }

    /// Joins at the end of the line.
    pub(super) fn join(&mut self, waker: Waker) -> usize {
        let key = self.members.insert(Member { waker: Some(waker), has_place: false });
        self.line.push(key);
        key
    }

    /// Whether this member has been given a place.
    pub(super) fn has_place(&self, key: usize) -> bool {
        self.members[key].has_place
    }

    /// Whether this waker would be the one to wake the member.
    pub(super) fn has_waker(&self, key: usize, waker: &Waker) -> bool {
        self.members[key].waker.as_ref().is_some_and(|stored| stored.will_wake(waker))
    }

    /// Keeps the latest waker, and hands back the one it replaces.
    pub(super) fn refresh(&mut self, key: usize, waker: Waker) -> Option<Waker> {
        self.members[key].waker.replace(waker)
    }

    /// Gives a place to the first in line, and hands out its waker.
    pub(super) fn serve(&mut self) -> Option<Waker> {
        let key = self.line.pop()?;
        let member = &mut self.members[key];
        member.has_place = true;
        member.waker.take()
    }

    /// Hands out the wakers of everyone in line, without serving them.
    pub(super) fn wakers(&mut self) -> Vec<Waker> {
        self.members.iter_mut().filter_map(|(_, member)| member.waker.take()).collect()
    }

    /// Ends a membership. Answers whether it had a place, and its waker, to be dropped outside every lock.
    pub(super) fn leave(&mut self, key: usize) -> (bool, Option<Waker>) {
        let Member { waker, has_place } = self.members.remove(key);
        if !has_place {
            self.line.remove(key);
        }
        (has_place, waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o4_the_first_to_come_is_the_first_served_whoever_leaves_in_between() {
        for leaver in 0..4 {
            let mut waiters = Waiters::default();
            let keys: Vec<_> = (0..4).map(|_| waiters.join(Waker::noop().clone())).collect();
            assert!(!waiters.leave(keys[leaver]).0);
            for &key in keys.iter().filter(|&&key| key != keys[leaver]) {
                assert!(!waiters.has_place(key));
                assert!(waiters.serve().is_some());
                assert!(waiters.has_place(key));
            }
            assert!(waiters.is_empty() && waiters.serve().is_none());
        }
    }

    #[test]
    fn x1_members_that_come_and_go_leave_nothing_behind() {
        let mut waiters = Waiters::default();
        for _ in 0..1_000 {
            let (a, b) = (waiters.join(Waker::noop().clone()), waiters.join(Waker::noop().clone()));
            waiters.serve();
            assert!(waiters.leave(a).0);
            assert!(!waiters.leave(b).0);
        }
        assert!(waiters.members.capacity() <= 4);
    }
}
