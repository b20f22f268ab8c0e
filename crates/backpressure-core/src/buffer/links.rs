//! Circular lists through the elements of a slab.

/// The neighbours of each element in the list that it is in. A list is known by its first element.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

#[derive(Debug, Clone, Copy)]
struct Link {
    before: usize,
    after: usize,
}

impl Links {
    /// Appends an element that is in no list to the one that begins with `first`.
    #[inline]
    pub(super) fn append(&mut self, first: &mut Option<usize>, element: usize) {
        let alone = Link { before: element, after: element };
        if self.0.len() <= element {
            self.0.resize(element + 1, alone);
        }
        let Some(head) = *first else {
            self.0[element] = alone;
            *first = Some(element);
            return;
        };
        let last = std::mem::replace(&mut self.0[head].before, element);
        self.0[last].after = element;
        self.0[element] = Link { before: last, after: head };
    }

    /// Takes an element out of the list that begins with `first`.
    #[inline]
    pub(super) fn remove(&mut self, first: &mut Option<usize>, element: usize) {
        let Link { before, after } = self.0[element];
        if after == element {
            *first = None;
            return;
        }
        self.0[before].after = after;
        self.0[after].before = before;
        if *first == Some(element) {
            *first = Some(after);
        }
    }

    /// Makes an element the last of the list that begins with `first`, in which it is.
    #[inline(always)]
    pub(super) fn make_last(&mut self, first: &mut Option<usize>, element: usize) {
        if *first == Some(element) {
            *first = Some(self.0[element].after);
        } else {
            self.move_to_end(first, element);
        }
    }

    #[inline(never)]
    fn move_to_end(&mut self, first: &mut Option<usize>, element: usize) {
        self.remove(first, element);
        self.append(first, element);
    }

    /// The element behind this one; behind the last is the first.
    #[inline]
    pub(super) fn after(&self, element: usize) -> usize {
        self.0[element].after
    }
}
