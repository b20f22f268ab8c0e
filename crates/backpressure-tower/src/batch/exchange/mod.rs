//! The exchange: where callers and the runner meet, under one lock.
//!
//! The [state](state::State) is under one lock, and knows what is to become of each call. Beside it are the [permits] and the
//! [slabs](slab) where answers wait, which take no lock of the state's, and the [shards] where calls are left while many threads
//! contend for it. Whoever answers calls has the lock of the state, and takes that of their slab under it. A caller never holds
//! both: it takes its answer, or leaves, at its slot first, and goes to the state afterwards.
//!
//! While nobody [runs](run::Run) the runner it is in the state. It is taken from there and put back under the lock that says who
//! is to be woken.

use backpressure_rt::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};
use backpressure_rt::{Exclusive, discard, lock, lock_contended};

mod calling;
mod calls;
mod control;
mod effects;
mod permits;
mod run;
mod running;
pub(super) mod shards;
pub(super) mod slab;
mod state;
mod turns;

pub(super) use self::effects::Effects;
pub(super) use self::run::{Alone, Run, RunAs, Runner};
pub(super) use self::running::{Outlook, Updates};
pub(super) use self::shards::LastPush;
pub(super) use self::slab::Answer;
pub(super) use self::state::{Threshold, Totals, WhenAlone};
pub(super) use self::turns::Turn;

use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use backpressure_core::{BackpressureConfig, DropReason, Gauge, Reporter};

use self::calls::Stage;
use self::permits::Permits;
use self::shards::{Pushed, Shards};
use self::slab::{CallRef, WakerToken};
use self::state::State;
use crate::batch::error::BatchError;
use crate::batch::plan::{Linger, QueuedCall, Settings};

/// What handles, calls and the worker share.
pub(crate) struct Exchange<Req, Resp, E> {
    state: Mutex<State<Self, Req, Resp, E>>,
    /// How many handles there are. One that is there keeps the count above zero, so that it can be copied without the lock.
    handles: AtomicUsize,
    pub(super) shards: Arc<Shards<Self, Req, Resp, E>>,
    permits: Arc<Permits>,
    pub(super) reporter: Reporter,
    pub(super) gauge: Gauge,
    pub(super) settings: Arc<Settings<Req, Resp>>,
}

/// A call, and whoever it belongs to.
pub(super) type CallOf<Req, Resp, E> = CallRef<Exchange<Req, Resp, E>, Resp, E>;

type RunnerOf<Req, Resp, E> = Runner<Exchange<Req, Resp, E>, Req, Resp, E>;

/// A call that was made.
pub(super) enum Called<Req, Resp, E> {
    Waits(Waiting<Req, Resp, E>),
    /// `None` once it has been told.
    Answered(Exclusive<Option<Answer<Resp, E>>>),
}

/// A call that waits for its answer.
pub(super) struct Waiting<Req, Resp, E> {
    pub(super) call: CallOf<Req, Resp, E>,
    pub(super) poller: Poller,
}

/// Who polls the inner call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poller {
    /// The worker. With the token of the waker that the caller stored last, if it is known.
    Worker(Option<WakerToken>),
    /// The caller, unless the worker has taken over meanwhile.
    Caller,
}

impl<Req, Resp, E> Exchange<Req, Resp, E> {
    pub(super) fn new(settings: Arc<Settings<Req, Resp>>, buffer: &BackpressureConfig) -> Self {
        let is_timed = settings.linger(&settings.config) != Linger::Never;
        let permits = Arc::new(Permits::new(buffer.capacity()));
        let shards = Arc::new(Shards::new(shard_count()));
        let state = State::new(settings.config, buffer, Arc::clone(&permits), Arc::clone(&shards), is_timed);
        Self {
            handles: AtomicUsize::new(1),
            shards,
            permits,
            reporter: state.reporter.clone(),
            gauge: state.recorder.gauge(),
            state: Mutex::new(state),
            settings,
        }
    }

    /// The state, which knows of every call made so far. No user code runs under this lock, so no panic can have left anything
    /// half done.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<Self, Req, Resp, E>> {
        let mut state = lock(&self.state);
        state.collect_shards(false);
        state
    }

    /// The state, which may not know of the latest calls, for whoever does not depend on that.
    pub(super) fn lock_uncollected(&self) -> MutexGuard<'_, State<Self, Req, Resp, E>> {
        lock(&self.state)
    }

    /// The state, for a call: whether the lock was taken tells of contention.
    fn lock_for_call(&self) -> MutexGuard<'_, State<Self, Req, Resp, E>> {
        let (mut state, in_company) = lock_contended(&self.state);
        state.collect_shards(false);
        if in_company {
            state.note_contention();
        }
        state
    }

    /// Does something under the lock, and afterwards what is left to do.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut State<Self, Req, Resp, E>, &mut Effects) -> R) -> R {
        let mut effects = Effects::default();
        let result = change(&mut self.lock(), &mut effects);
        effects.flush(&self.reporter);
        result
    }

    /// A handle is copied.
    pub(super) fn attach(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// A handle goes.
    pub(super) fn detach(&self) {
        // AcqRel: pairs with itself, so that the last one to go comes after all that the others did.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.update(State::abandon);
        }
    }

    /// Takes a permit, if there is one for whoever comes first.
    pub(super) fn try_acquire(&self) -> bool {
        self.shards.mine().is_some_and(|shard| self.shards.try_acquire(shard)) || self.permits.try_acquire(1)
    }

    /// Gives a permit back.
    pub(super) fn release(&self) {
        if self.permits.release(1) {
            self.update(State::serve);
        }
    }

    /// Makes a call with a reserved permit, for whoever has this waker.
    pub(super) fn call(
        self: &Arc<Self>,
        call: QueuedCall<Req>,
        waker: Waker,
        last: &mut Option<LastPush>,
    ) -> Called<Req, Resp, E> {
        let Some(shard) = self.shards.mine().filter(|&shard| self.shards.is_open(shard, *last)) else {
            return self.enter(call, waker);
        };
        match self.shards.push(shard, last, call, waker) {
            Ok(Pushed { call, token, is_last }) => {
                if is_last {
                    self.run_shard(shard, &call);
                }
                Called::waits(call, token)
            }
            Err((call, waker)) => self.enter(call, waker),
        }
    }

    /// Makes a call at the lock.
    #[inline]
    fn enter(self: &Arc<Self>, call: QueuedCall<Req>, waker: Waker) -> Called<Req, Resp, E> {
        let mut state = self.lock_for_call();
        if let Some(error) = state.refusal() {
            drop(state);
            return self.refuse(error);
        }
        if let Some(runner) = state.take_alone() {
            let lone = state.insert(Stage::Held, None, self);
            drop(state);
            return self.run_alone(runner, lone, call, waker);
        }
        let (call, token) = state.enter(call, waker, self);
        let effects = state.follow(self);
        drop(state);
        if let Some(mut effects) = effects {
            effects.flush(&self.reporter);
        }
        Called::waits(call, token)
    }

    /// Makes no call, and gives the permit back.
    #[cold]
    fn refuse(&self, error: BatchError<E>) -> Called<Req, Resp, E> {
        self.release();
        self.reporter.rejected();
        Called::answered(Err(error))
    }
}

/// The runner, run by callers.
impl<Req, Resp, E> Exchange<Req, Resp, E> {
    /// Sends a call that is alone.
    fn run_alone(
        &self,
        mut runner: RunnerOf<Req, Resp, E>,
        call: CallOf<Req, Resp, E>,
        queued: QueuedCall<Req>,
        waker: Waker,
    ) -> Called<Req, Resp, E> {
        let outcome = runner.as_caller(|run| run.run_alone(&call, queued, &mut Context::from_waker(&waker)));
        match self.end_alone(&call, runner, outcome, Some(waker)) {
            (Some(answer), _) => Called::answered(answer),
            (None, poller) => Called::Waits(Waiting { call, poller }),
        }
    }

    /// A caller has run it so far for its call. Answers what it is to have, and who polls the inner call from then on.
    #[inline]
    fn end_alone(
        &self,
        call: &CallOf<Req, Resp, E>,
        runner: RunnerOf<Req, Resp, E>,
        outcome: Alone<Req, Resp, E>,
        mut waker: Option<Waker>,
    ) -> (Option<Answer<Resp, E>>, Poller) {
        let (mut runner, mut outcome) = (Some(runner), Some(outcome));
        let (answer, goes_on) =
            self.update(|state, effects| state.end_alone(call, &mut runner, &mut outcome, &mut waker, effects));
        (answer, if goes_on { Poller::Caller } else { Poller::Worker(None) })
    }

    /// Sends the calls in a shard, of which this was the last. Callers are woken once the next may run it.
    #[inline(never)]
    fn run_shard(self: &Arc<Self>, shard: usize, call: &CallOf<Req, Resp, E>) {
        let taken = self.lock_uncollected().take_for_shard(shard, call, self);
        let Some((mut runner, waker)) = taken else { return };
        let mut effects = Effects::default();
        let done = runner.as_caller(|run| run.run_shard(&mut Context::from_waker(&waker), &mut effects));
        let (mut runner, mut waker) = (Some(runner), Some(waker));
        self.lock_uncollected().end_shard_run(call, &mut runner, &mut waker, done, self, &mut effects);
        effects.flush(&self.reporter);
    }

    /// Answers every call that still waits.
    pub(super) fn end(&self, error: Option<Arc<E>>, reason: DropReason) {
        self.update(|state, effects| state.end(error, reason, effects)).into_iter().for_each(discard);
    }
}

impl<Req, Resp, E> Called<Req, Resp, E> {
    /// A call that has its answer already.
    pub(super) const fn answered(answer: Answer<Resp, E>) -> Self {
        Self::Answered(Exclusive::new(Some(answer)))
    }

    /// A call whose waker was stored under this token, for whoever answers it.
    const fn waits(call: CallOf<Req, Resp, E>, token: WakerToken) -> Self {
        Self::Waits(Waiting { call, poller: Poller::Worker(Some(token)) })
    }
}

impl<Req, Resp, E> Waiting<Req, Resp, E> {
    /// Goes on with a call that was sent alone, unless the worker has taken over.
    pub(super) fn run_on(&mut self, cx: &mut Context<'_>) -> Option<Answer<Resp, E>> {
        self.poller = Poller::Worker(None);
        let exchange = &self.call.slab.owner;
        let mut runner = exchange.lock().resume_alone(&self.call)?;
        let outcome = runner.as_caller(|run| run.run_on(cx));
        let (answer, poller) = exchange.end_alone(&self.call, runner, outcome, None);
        self.poller = poller;
        answer
    }
}

/// How many shards are of use: enough for threads to have one each as a rule, if they are few.
fn shard_count() -> usize {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    if cfg!(backpressure_loom) { 2 } else { threads.saturating_mul(2).min(8) }
}
