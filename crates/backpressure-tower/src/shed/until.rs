//! What a call holds until it is answered or given up.

use crate::limiter::{Deadline, Hold};

/// A slot or a place in the queue, with the deadline of its call. It is given back when this is dropped; the books say why.
#[derive(Debug)]
pub(super) struct Until<T: Hold> {
    /// `None` once it is somebody else's, or if the call needs none.
    pub(super) held: Option<T>,
    pub(super) deadline: Deadline,
}

impl<T: Hold> Until<T> {
    pub(super) const fn new(held: Option<T>, deadline: Deadline) -> Self {
        Self { held, deadline }
    }
}

impl<T: Hold> Drop for Until<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.give_up(&self.deadline);
        }
    }
}
