//! Cores that run what is ready in the order in which it became so, and workers elsewhere.

use std::collections::VecDeque;

/// Servers of one queue: `busy` of `size` are at work, and jobs wait in order.
#[derive(Debug)]
pub struct Pool<J> {
    size: usize,
    busy: usize,
    waiting: VecDeque<J>,
}

impl<J> Pool<J> {
    pub fn new(size: usize) -> Self {
        Self { size, busy: 0, waiting: VecDeque::new() }
    }

    pub fn push(&mut self, job: J) {
        self.waiting.push_back(job);
    }

    /// The next job, if one waits and somebody is free. Whoever takes it is busy until [`done`](Pool::done).
    pub fn start(&mut self) -> Option<J> {
        if self.busy == self.size {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.busy += 1;
        Some(job)
    }

    pub fn done(&mut self) {
        self.busy -= 1;
    }
}
