//! Where answers wait for their callers, and how a caller knows without the lock that its waker stands.

use std::sync::Arc;
use std::task::Waker;

use backpressure_rt::lock;
use backpressure_rt::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

use crate::batch::error::BatchError;

/// How many calls share a slab, and with it an allocation.
pub(crate) const SLOTS: usize = if cfg!(backpressure_loom) { 2 } else { 64 };

/// What a call comes to.
pub(crate) type Answer<Resp, E> = Result<Resp, BatchError<E>>;

/// A slab, and the number it has as long as it has calls without an answer.
pub(crate) type Numbered<O, Resp, E> = (usize, Arc<AnswerSlab<O, Resp, E>>);

/// A call, by its slot. The number is its own until it is settled.
pub(crate) struct CallRef<O, Resp, E> {
    pub(crate) slab: Arc<AnswerSlab<O, Resp, E>>,
    pub(crate) number: usize,
}

/// The number of a call's slab.
pub(crate) const fn slab_of(call: usize) -> usize {
    call / SLOTS
}

/// The slots of consecutive calls. A caller finds its answer here, without the lock of the exchange, which is the
/// `owner`.
pub(crate) struct AnswerSlab<O, Resp, E> {
    pub(crate) owner: Arc<O>,
    /// How often answers came in.
    completions: AtomicU64,
    /// One for each call. In a box, so that none is ever on the stack, however large an answer may be.
    slots: Mutex<Box<[Slot<Resp, E>]>>,
}

enum Slot<Resp, E> {
    Waiting,
    Answered(Answer<Resp, E>),
    /// The caller has its answer, or is gone.
    Left,
}

impl<O, Resp, E> AnswerSlab<O, Resp, E> {
    pub(crate) fn new(owner: Arc<O>) -> Self {
        let slots = (0..SLOTS).map(|_| Slot::Waiting).collect();
        Self { owner, completions: AtomicU64::new(0), slots: Mutex::new(slots) }
    }

    /// Answers come in. Only under the lock of the exchange, and before any waker is taken out to be woken.
    pub(crate) fn advance(&self) {
        let before = self.completions.load(Ordering::Relaxed);
        // Release: pairs with the load in `stands`; who sees the new count comes to the slots next.
        self.completions.store(before + 1, Ordering::Release);
    }

    /// For whoever has answers for some of its calls.
    pub(crate) fn lock(&self) -> Slots<'_, Resp, E> {
        Slots(lock(&self.slots))
    }
}

impl<O, Resp, E> CallRef<O, Resp, E> {
    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Answer<Resp, E>> {
        let mut slots = lock(&self.slab.slots);
        let slot = &mut slots[self.number % SLOTS];
        if let Slot::Waiting = slot { None } else { std::mem::replace(slot, Slot::Left).answer() }
    }

    /// The caller goes, with the answer if there is one.
    pub(crate) fn leave(&self) -> Option<Answer<Resp, E>> {
        std::mem::replace(&mut lock(&self.slab.slots)[self.number % SLOTS], Slot::Left).answer()
    }

    /// That this waker has been stored. Only under the lock that it was stored under.
    pub(crate) fn token(&self, waker: WakerId) -> WakerToken {
        WakerToken { completions: self.slab.completions.load(Ordering::Relaxed), waker }
    }

    /// Whether this waker is the one that was stored, and will be woken.
    pub(crate) fn stands(&self, token: WakerToken, waker: &Waker) -> bool {
        // Acquire: pairs with the store in `advance`.
        token.waker == WakerId::of(waker) && self.slab.completions.load(Ordering::Acquire) == token.completions
    }
}

impl<Resp, E> Slot<Resp, E> {
    /// What is in it for the caller, if it has come.
    fn answer(self) -> Option<Answer<Resp, E>> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Waiting | Self::Left => None,
        }
    }
}

/// The slots of a slab, locked. Whether a call has its answer is decided here.
pub(crate) struct Slots<'a, Resp, E>(MutexGuard<'a, Box<[Slot<Resp, E>]>>);

impl<Resp, E> Slots<'_, Resp, E> {
    /// Answers a call, unless that has been done, or its caller is gone. If so, the answer stays where it is, to be dropped
    /// outside the lock.
    pub(crate) fn put(&mut self, call: usize, answer: &mut Answer<Resp, E>) -> bool {
        let slot = &mut self.0[call % SLOTS];
        let waits = matches!(slot, Slot::Waiting);
        if waits {
            *slot = Slot::Answered(std::mem::replace(answer, Err(BatchError::Closed)));
        }
        waits
    }
}

/// That a waker was stored when so many answers had come in.
///
/// As long as the count is the same, the stored waker has not been taken. So it is alive, and a waker of the same address is
/// the same waker; when it is woken, that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WakerToken {
    completions: u64,
    waker: WakerId,
}

/// Which waker it is, as long as that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WakerId(usize, usize);

impl WakerId {
    pub(crate) fn of(waker: &Waker) -> Self {
        Self(waker.data() as usize, std::ptr::from_ref(waker.vtable()) as usize)
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn w1_a_token_stands_for_the_waker_that_was_stored_and_until_answers_come_in() {
        let call = CallRef::<(), (), ()> { slab: Arc::new(AnswerSlab::new(Arc::new(()))), number: 0 };
        let (stored, other) = (Waker::from(Arc::new(Task)), Waker::from(Arc::new(Task)));
        let token = call.token(WakerId::of(&stored));
        assert!(call.stands(token, &stored) && call.stands(token, &stored.clone()));
        assert!(!call.stands(token, &other));
        call.slab.advance();
        assert!(!call.stands(token, &stored));
    }
}
