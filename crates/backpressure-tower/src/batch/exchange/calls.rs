//! Calls by number: consecutive ones share a slab, which is given up when all of them are settled.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use super::slab::{Answer, AnswerSlab, CallRef, Numbered, SLOTS, slab_of};
use crate::batch::plan::QueuedCall;

/// Calls from their arrival until they are [settled](Self::settle). Those that nobody has taken yet are the inbox.
pub(crate) struct Calls<O, Req, Resp, E> {
    slabs: Slab<CallSlab<O, Req, Resp, E>>,
    /// The slab of the next call.
    open: Option<usize>,
    /// Which calls may be in the inbox, in the order in which they came.
    runs: VecDeque<Run>,
    /// How many calls are in the inbox, and their weight, wide enough for any sum.
    queued: usize,
    weight: u128,
}

/// The calls of a slab up to this one, without those that were taken.
#[derive(Debug, Clone, Copy)]
struct Run {
    key: usize,
    end: usize,
}

/// What is under the lock of an [`AnswerSlab`]'s calls.
struct CallSlab<O, Req, Resp, E> {
    answers: Arc<AnswerSlab<O, Resp, E>>,
    calls: Vec<Call<Req>>,
    /// From here on calls may be in the inbox.
    taken: usize,
    unsettled: usize,
    /// Whether more calls may come.
    open: bool,
}

pub(crate) struct Call<Req> {
    pub(super) stage: Stage<Req>,
    pub(super) waker: Option<Waker>,
}

/// How far a call has come. The permit is its own until it is sent, and the number until it is settled.
pub(crate) enum Stage<Req> {
    /// In the inbox.
    Queued(QueuedCall<Req>),
    /// The runner has the request.
    Held,
    /// In a batch that has been dispatched.
    Sent,
    /// The caller is gone; the runner does not know yet.
    Gone,
    Settled,
}

impl<O, Req, Resp, E> Calls<O, Req, Resp, E> {
    pub(super) const fn new() -> Self {
        Self { slabs: Slab::new(), open: None, runs: VecDeque::new(), queued: 0, weight: 0 }
    }

    /// How many calls are in the inbox.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// What they weigh together.
    pub(super) const fn weight(&self) -> u128 {
        self.weight
    }

    /// A call arrives at this stage.
    pub(super) fn insert(&mut self, stage: Stage<Req>, waker: Option<Waker>, owner: &Arc<O>) -> CallRef<O, Resp, E> {
        if let Stage::Queued(call) = &stage {
            self.count_queued(call);
        }
        let key = self.open.unwrap_or_else(|| self.open_slab(owner));
        let slab = &mut self.slabs[key];
        slab.arrive(stage, waker);
        if !slab.open {
            self.open = None;
        }
        let end = slab.calls.len();
        match self.runs.back_mut() {
            Some(run) if run.key == key => run.end = end,
            _ => self.runs.push_back(Run { key, end }),
        }
        CallRef { slab: Arc::clone(&slab.answers), number: key * SLOTS + end - 1 }
    }

    /// Calls arrive in the inbox that have slots in this slab already, the next ones.
    pub(super) fn absorb(&mut self, key: usize, calls: impl ExactSizeIterator<Item = (QueuedCall<Req>, Waker)>) {
        self.queued += calls.len();
        let slab = &mut self.slabs[key];
        for (call, waker) in calls {
            self.weight += call.weight as u128;
            slab.arrive(Stage::Queued(call), Some(waker));
        }
        self.runs.push_back(Run { key, end: slab.calls.len() });
    }

    /// A call that was held since it arrived goes to the inbox after all. Only while nobody has [taken](Self::take) calls since.
    pub(super) fn requeue(&mut self, number: usize, call: QueuedCall<Req>) {
        self.count_queued(&call);
        self.call(number).stage = Stage::Queued(call);
    }

    /// Makes the slab that the next calls go to.
    #[inline(never)]
    fn open_slab(&mut self, owner: &Arc<O>) -> usize {
        let (key, _) = self.add_slab(owner);
        *self.open.insert(key)
    }

    /// An empty slab, for calls that are to be [absorbed](Self::absorb).
    pub(super) fn add_slab(&mut self, owner: &Arc<O>) -> Numbered<O, Resp, E> {
        let answers = Arc::new(AnswerSlab::new(Arc::clone(owner)));
        let slab = CallSlab {
            answers: Arc::clone(&answers),
            calls: Vec::with_capacity(SLOTS),
            taken: 0,
            unsettled: 0,
            open: true,
        };
        (self.slabs.insert(slab), answers)
    }

    /// Takes calls out of the inbox, first come, first served: as many as these bounds allow, but one if there is one. They have
    /// this stage from then on.
    pub(super) fn take(
        &mut self,
        stage: fn() -> Stage<Req>,
        max_items: usize,
        max_weight: Option<usize>,
        mut taken: impl FnMut(usize, QueuedCall<Req>),
    ) {
        let (mut items, mut room) = (0, max_weight.map_or(u128::MAX, |max| max as u128));
        while let Some(&Run { key, end }) = self.runs.front() {
            let slab = &mut self.slabs[key];
            for call in &mut slab.calls[slab.taken..end] {
                let fits =
                    |queued: &QueuedCall<Req>| items < max_items && (items == 0 || queued.weight as u128 <= room);
                match mem::replace(&mut call.stage, stage()) {
                    Stage::Queued(queued) if fits(&queued) => {
                        let weight = queued.weight as u128;
                        (items, room) = (items + 1, room.saturating_sub(weight));
                        (self.queued, self.weight) = (self.queued - 1, self.weight - weight);
                        taken(key * SLOTS + slab.taken, queued);
                    }
                    stage @ Stage::Queued(_) => {
                        call.stage = stage;
                        return;
                    }
                    stage => call.stage = stage,
                }
                slab.taken += 1;
            }
            self.runs.pop_front();
        }
    }

    /// A call that has not been settled.
    pub(super) fn call(&mut self, number: usize) -> &mut Call<Req> {
        &mut self.slabs[slab_of(number)].calls[number % SLOTS]
    }

    /// The same, unless it has been settled: its number may have been given to another one since.
    pub(super) fn find(&mut self, call: &CallRef<O, Resp, E>) -> Option<&mut Call<Req>> {
        let slab = self.slabs.get_mut(slab_of(call.number)).filter(|slab| Arc::ptr_eq(&slab.answers, &call.slab))?;
        slab.calls.get_mut(call.number % SLOTS).filter(|call| !matches!(call.stage, Stage::Settled))
    }

    /// The caller is gone. Answers at which stage that was, and the waker, to be dropped outside the lock.
    pub(super) fn cancel(&mut self, number: usize) -> (Stage<Req>, Option<Waker>) {
        let entry = self.call(number);
        let (stage, waker) = (mem::replace(&mut entry.stage, Stage::Gone), entry.waker.take());
        self.forget_queued(&stage);
        (stage, waker)
    }

    /// Puts answers into their slots, and settles the calls. Hands out their wakers. Tells how many of the answers, that somebody
    /// waited for, are responses, and how many errors; the others stay, to be dropped outside the lock.
    pub(super) fn answer(
        &mut self,
        answers: &mut [(usize, Answer<Resp, E>)],
        wakers: &mut Vec<Waker>,
    ) -> (usize, usize) {
        let (mut delivered, mut failed) = (0, 0);
        for answers in answers.chunk_by_mut(|(one, _), (next, _)| slab_of(*one) == slab_of(*next)) {
            let key = slab_of(answers[0].0);
            // Nobody waits for anything once everything is over.
            let Some(slab) = self.slabs.get_mut(key) else { continue };
            // Before any waker is taken: a token that still stands then is of a waker that is still to be woken.
            slab.answers.advance();
            let mut slots = slab.answers.lock();
            for (number, answer) in answers {
                let count = if answer.is_ok() { &mut delivered } else { &mut failed };
                if slots.put(*number, answer) {
                    *count += 1;
                    let call = &mut slab.calls[*number % SLOTS];
                    call.stage = Stage::Settled;
                    wakers.extend(call.waker.take());
                    slab.unsettled -= 1;
                }
            }
            drop(slots);
            if slab.is_over() {
                self.give_up(key);
            }
        }
        (delivered, failed)
    }

    /// Nobody needs to know of these calls any more. Hands out their wakers.
    pub(super) fn settle(&mut self, numbers: &[usize], wakers: &mut Vec<Waker>) {
        for &number in numbers {
            let slab = &mut self.slabs[slab_of(number)];
            // Before the waker is taken, as in `answer`.
            slab.answers.advance();
            let call = &mut slab.calls[number % SLOTS];
            call.stage = Stage::Settled;
            wakers.extend(call.waker.take());
            slab.unsettled -= 1;
            if slab.is_over() {
                self.give_up(slab_of(number));
            }
        }
    }

    /// The caller has the answer in hand, so nobody needs to know of the call any more. If it came last, the next one gets its slot,
    /// which is as it was. Hands out its waker, to be dropped outside the lock.
    pub(super) fn withdraw(&mut self, number: usize) -> Option<Waker> {
        if let Some(key) = self.open.filter(|&key| key == slab_of(number)) {
            let slab = &mut self.slabs[key];
            let is_last = |run: &Run| run.key == key && run.end == slab.calls.len() && run.end == number % SLOTS + 1;
            if let Some(run) = self.runs.back_mut().filter(|run| is_last(run)) {
                run.end -= 1;
                slab.unsettled -= 1;
                return slab.calls.pop()?.waker;
            }
        }
        let waker = self.call(number).waker.take();
        self.settle(&[number], &mut Vec::new());
        waker
    }

    /// Forgets a slab whose calls are all settled: its number is free.
    #[inline(never)]
    fn give_up(&mut self, key: usize) {
        let slab = self.slabs.remove(key);
        if slab.taken < slab.calls.len() {
            self.runs.retain(|run| run.key != key);
        }
    }

    /// Counts a call that comes into the inbox.
    fn count_queued(&mut self, call: &QueuedCall<Req>) {
        (self.queued, self.weight) = (self.queued + 1, self.weight + call.weight as u128);
    }

    /// Counts a call out that leaves at this stage, if that is the inbox.
    fn forget_queued(&mut self, stage: &Stage<Req>) {
        if let Stage::Queued(call) = stage {
            (self.queued, self.weight) = (self.queued - 1, self.weight - call.weight as u128);
        }
    }

    /// Answers every call that waits, and no call arrives any more. Hands out at which stage each was, with its number.
    pub(super) fn end(&mut self, answer: impl Fn() -> Answer<Resp, E>) -> Vec<(usize, Stage<Req>)> {
        let mut ended = Vec::new();
        self.open = None;
        self.runs.clear();
        self.slabs.retain(|_, slab| slab.unsettled > 0);
        for (key, slab) in &mut self.slabs {
            slab.open = false;
            let mut slots = slab.answers.lock();
            for (number, call) in (key * SLOTS..).zip(&mut slab.calls) {
                // Who has left its slot already is about to cancel.
                let waits = !matches!(call.stage, Stage::Gone | Stage::Settled);
                if waits && slots.put(number, &mut answer()) {
                    ended.push((number, mem::replace(&mut call.stage, Stage::Gone)));
                }
            }
        }
        ended.iter().for_each(|(_, stage)| self.forget_queued(stage));
        ended
    }
}

impl<O, Req, Resp, E> CallSlab<O, Req, Resp, E> {
    /// Takes in the next call.
    fn arrive(&mut self, stage: Stage<Req>, waker: Option<Waker>) {
        self.calls.push(Call { stage, waker });
        self.unsettled += 1;
        self.open = self.calls.len() < SLOTS;
    }

    /// Whether every call it will ever have is settled.
    const fn is_over(&self) -> bool {
        self.unsettled == 0 && !self.open
    }
}
