//! Doubly linked lists of small numbers: joining at the end, leaving from anywhere and taking the first cost the same.

const NONE: usize = usize::MAX;

/// The links of any number of [lists](List) that have no member in common.
#[derive(Default)]
pub(crate) struct Links {
    /// What stands before and after a member.
    around: Vec<(usize, usize)>,
}

/// The ends of a list. What is between them is known to its [`Links`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    head: usize,
    tail: usize,
    len: usize,
}

/// One list with links of its own.
#[derive(Default)]
pub(crate) struct Line {
    links: Links,
    list: List,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }
}

impl List {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn first(&self) -> Option<usize> {
        if self.head == NONE { None } else { Some(self.head) }
    }
}

impl Links {
    /// Adds a number that is in no list.
    #[inline]
    pub(crate) fn push(&mut self, list: &mut List, member: usize) {
        if member >= self.around.len() {
            self.around.resize(member + 1, (NONE, NONE));
        }
        self.around[member] = (list.tail, NONE);
        match list.tail {
            NONE => list.head = member,
            tail => self.around[tail].1 = member,
        }
        list.tail = member;
        list.len += 1;
    }

    /// Takes a member out of its list.
    #[inline]
    pub(crate) fn remove(&mut self, list: &mut List, member: usize) {
        let (before, after) = self.around[member];
        match before {
            NONE => list.head = after,
            before => self.around[before].1 = after,
        }
        match after {
            NONE => list.tail = before,
            after => self.around[after].0 = before,
        }
        list.len -= 1;
    }
}

impl Line {
    pub(crate) const fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) const fn first(&self) -> Option<usize> {
        self.list.first()
    }

    #[inline]
    pub(crate) fn push(&mut self, member: usize) {
        self.links.push(&mut self.list, member);
    }

    #[inline]
    pub(crate) fn remove(&mut self, member: usize) {
        self.links.remove(&mut self.list, member);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let first = self.first()?;
        self.remove(first);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_members_leave_in_the_order_they_came_whoever_left_in_between() {
        for leaver in 0..5 {
            let mut line = Line::default();
            (0..5).rev().for_each(|member| line.push(member));
            line.remove(leaver);
            assert_eq!(line.len(), 4);
            let expected: Vec<_> = (0..5).rev().filter(|&member| member != leaver).collect();
            assert_eq!(std::iter::from_fn(|| line.pop()).collect::<Vec<_>>(), expected);
            assert_eq!((line.first(), line.len()), (None, 0));
        }
    }

    #[test]
    fn lists_share_their_links_without_touching_one_another() {
        let (mut links, mut even, mut odd) = (Links::default(), List::default(), List::default());
        for member in 0..6 {
            links.push(if member % 2 == 0 { &mut even } else { &mut odd }, member);
        }
        links.remove(&mut even, 0);
        links.remove(&mut odd, 5);
        links.push(&mut odd, 0);
        assert_eq!((even.first(), even.len()), (Some(2), 2));
        assert_eq!((odd.first(), odd.len()), (Some(1), 3));
    }
}
