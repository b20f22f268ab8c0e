//! The answers that are still to be handed out.

use std::sync::Arc;

use backpressure_core::DropReason;

use crate::batch::exchange::{Answer, AnswerSlab, Effects, Exchange, Numbered, slab_of};

type SlabOf<Req, Resp, E> = AnswerSlab<Exchange<Req, Resp, E>, Resp, E>;

pub(super) struct Outbox<Req, Resp, E> {
    /// Slabs by number, as far as they have been learned.
    pub(super) slabs: Vec<Option<Arc<SlabOf<Req, Resp, E>>>>,
    pub(super) answers: Vec<(usize, Answer<Resp, E>)>,
    /// Calls that got theirs, of those.
    answered: Vec<usize>,
    /// What is left to do for those who have been answered.
    pub(super) effects: Effects,
}

impl<Req, Resp, E> Outbox<Req, Resp, E> {
    pub(super) fn new() -> Self {
        Self { slabs: Vec::new(), answers: Vec::new(), answered: Vec::new(), effects: Effects::default() }
    }

    /// These slabs have their numbers from now on.
    pub(super) fn learn(&mut self, slabs: impl Iterator<Item = Numbered<Exchange<Req, Resp, E>, Resp, E>>) {
        for (number, slab) in slabs {
            if number >= self.slabs.len() {
                self.slabs.resize(number + 1, None);
            }
            self.slabs[number] = Some(slab);
        }
    }

    pub(super) fn push(&mut self, number: usize, answer: Answer<Resp, E>) {
        self.answers.push((number, answer));
    }

    /// Hands out the answers: to calls that were sent or, with a reason, to calls that were not.
    /// What is left to do is noted.
    pub(super) fn deliver(&mut self, exchange: &Exchange<Req, Resp, E>, unsent: Option<DropReason>) {
        if self.answers.is_empty() {
            return;
        }
        let (mut failed, mut open) = (0, None);
        for (number, answer) in &mut self.answers {
            let key = slab_of(*number);
            if open.as_ref().is_none_or(|(locked, _)| *locked != key) {
                // First the one, then the other: nobody holds the locks of two slabs.
                drop(open);
                open = self.slabs.get(key).and_then(Option::as_deref).map(|slab| (key, slab.lock()));
            }
            let is_error = answer.is_err();
            if open.as_mut().is_some_and(|(_, slots)| slots.put(*number, answer)) {
                self.answered.push(*number);
                failed += usize::from(is_error);
            }
        }
        drop(open);
        exchange.lock_uncollected().complete(&self.answered, failed, unsent, &mut self.effects);
        self.answered.clear();
        self.answers.clear();
    }
}
