//! The state shared by a handle and its driver.
//!
//! One short critical section an operation, and none of the user's code in it: items are weighed before it, wakers are
//! cloned before it, and woken, dropped and watchers notified after it.

use std::task::{Context, Poll, Waker};

use backpressure_core::{BufferHandle, DropReason, Gauge, Hooks, Reporter};
use backpressure_rt::sync::{Mutex, MutexGuard};
use backpressure_rt::{Relay, lock};

use crate::error::BackpressureSinkError;
use crate::expired::Expired;
use crate::phase::Phase;
use crate::queue::{Handed, Queue};

type Outcome<T, E> = Result<(), BackpressureSinkError<T, E>>;

#[derive(Debug)]
pub(crate) struct Shared<T, E> {
    link: Mutex<Link<T, E>>,
    hooks: Hooks<T>,
    reporter: Reporter,
    pub(crate) gauge: Gauge,
    /// Where other configurations come from.
    config: Option<BufferHandle>,
}

#[derive(Debug)]
struct Link<T, E> {
    queue: Queue<T>,
    phase: Phase,
    /// Whether the inner sink has been flushed since it was last given something.
    flushed: bool,
    /// An error that the handle has not heard of yet. The driver waits until it has.
    failure: Option<BackpressureSinkError<T, E>>,
    handle: Option<(Want, Waker)>,
    handle_is_gone: bool,
    /// Woken by the first item, by the end, and by a failure that was heard of.
    driver: Option<Waker>,
    driver_is_gone: bool,
}

/// What a handle waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Room,
    Flushed,
    Closed,
}

/// What a driver has to do next.
pub(crate) enum Step<T, E> {
    Send,
    Flush,
    Close,
    Wait,
    GiveUp(BackpressureSinkError<T, E>),
}

impl<T, E> Shared<T, E> {
    pub(crate) fn new(queue: Queue<T>, phase: Phase, flushed: bool) -> Self {
        Self {
            hooks: queue.hooks.clone(),
            reporter: queue.reporter.clone(),
            gauge: queue.gauge(),
            config: queue.existing_handle().cloned(),
            link: Mutex::new(Link {
                queue,
                phase,
                flushed,
                failure: None,
                handle: None,
                handle_is_gone: false,
                driver: None,
                driver_is_gone: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Link<T, E>> {
        lock(&self.link)
    }

    fn conclude(&self, changed: bool, waker: Option<Waker>) {
        let mut relay = Relay::new();
        if changed {
            relay.call(|| self.reporter.notify());
        }
        waker.into_iter().for_each(|waker| relay.call(|| waker.wake()));
        relay.resume();
    }

    // The handle's side.

    pub(crate) fn offer(&self, item: T) -> Outcome<T, E> {
        let tag = self.hooks.tag(&item);
        let mut link = self.lock();
        if link.takes_nothing() {
            drop(link);
            self.reporter.rejected();
            return Err(BackpressureSinkError::Closed(Some(item)));
        }
        let was_empty = link.queue.is_empty();
        let offered = link.queue.offer(item, tag);
        let driver = if was_empty { link.driver.take() } else { None };
        drop(link);
        let mut relay = Relay::new();
        relay.call(|| self.conclude(false, driver));
        let mut answer = Ok(());
        relay.call(|| answer = offered.carry_out(&self.hooks, &self.reporter));
        relay.resume();
        answer
    }

    /// Ready with what was wanted, or with the failure that comes before it. Pending keeps the latest waker.
    pub(crate) fn poll_for(&self, want: Want, cx: &Context<'_>) -> Poll<Outcome<T, E>> {
        let polled = self.poll_as_configured(want, cx);
        match &self.config {
            Some(config) if want == Want::Room && polled.is_pending() && !config.wait(cx.waker()) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => polled,
        }
    }

    fn poll_as_configured(&self, want: Want, cx: &Context<'_>) -> Poll<Outcome<T, E>> {
        let mut link = self.lock();
        if self.config.is_some() && want == Want::Room {
            let adopted = link.queue.adopt();
            drop(link);
            adopted.carry_out(&self.hooks, &self.reporter);
            link = self.lock();
        }
        if want == Want::Room {
            let expired = link.queue.look_before_wait();
            if !expired.is_empty() {
                drop(link);
                self.dispose(expired, None);
                link = self.lock();
            }
        }
        if let Some(outcome) = link.outcome(want) {
            return Poll::Ready(self.answer(link, outcome));
        }
        if link.handle.as_ref().is_some_and(|(for_what, waker)| *for_what == want && waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        drop(link);
        let waker = cx.waker().clone();
        let mut link = self.lock();
        if let Some(outcome) = link.outcome(want) {
            let answer = self.answer(link, outcome);
            return Poll::Ready(answer);
        }
        if want == Want::Room {
            link.queue.begin_wait();
        }
        let replaced = link.handle.replace((want, waker));
        drop(link);
        drop(replaced);
        Poll::Pending
    }

    /// A failure that was heard of sets the driver going again.
    fn answer(&self, mut link: MutexGuard<'_, Link<T, E>>, outcome: Outcome<T, E>) -> Outcome<T, E> {
        let driver = if outcome.is_err() { link.driver.take() } else { None };
        drop(link);
        self.conclude(false, driver);
        outcome
    }

    /// Takes nothing more in. Idempotent.
    pub(crate) fn close(&self) {
        self.begin_to_drain(false);
    }

    pub(crate) fn abandon(&self) {
        self.begin_to_drain(true);
    }

    fn begin_to_drain(&self, handle_is_gone: bool) {
        let mut link = self.lock();
        link.handle_is_gone |= handle_is_gone;
        let waiter = if handle_is_gone { link.handle.take() } else { None };
        let news = link.phase == Phase::Open;
        if news {
            link.phase = Phase::Draining;
        }
        let changed = news && link.queue.drain();
        let driver = if news || handle_is_gone { link.driver.take() } else { None };
        drop(link);
        drop(waiter);
        self.conclude(changed, driver);
    }

    pub(crate) fn evacuate(&self) -> Vec<T> {
        let mut link = self.lock();
        let (mut items, changed) = link.queue.evacuate();
        let driver = link.driver.take();
        drop(link);
        let mut relay = Relay::new();
        relay.call(|| self.conclude(changed, driver));
        if relay.has_panicked() {
            relay.call(|| self.hooks.dispose(items.drain(..), DropReason::Closed));
        }
        relay.resume();
        items
    }

    // The driver's side.

    pub(crate) fn register_driver(&self, cx: &Context<'_>) {
        if self.lock().driver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return;
        }
        let waker = cx.waker().clone();
        let replaced = self.lock().driver.replace(waker);
        drop(replaced);
    }

    /// Enters what became of the last item, and says what to do next.
    pub(crate) fn step(&self, handed: Handed) -> Step<T, E> {
        let mut link = self.lock();
        let changed = link.queue.settle(handed);
        // What was delivered may have made room for more than its own place.
        let handle = if link.queue.is_timed() { link.satisfied() } else { None };
        if link.queue.is_empty() {
            link.queue.rest();
        }
        let step = match link.failure.is_some() {
            true if link.handle_is_gone => link.failure.take().map_or(Step::Wait, Step::GiveUp),
            true => Step::Wait,
            false if !link.queue.is_empty() => Step::Send,
            false if link.phase == Phase::Draining => Step::Close,
            false if !link.flushed => Step::Flush,
            false => Step::Wait,
        };
        drop(link);
        self.conclude(changed, handle);
        step
    }

    /// The inner sink takes nothing at present.
    pub(crate) fn rest(&self) {
        self.lock().queue.rest();
    }

    /// Takes the next item, to be given to the inner sink at once.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut link = self.lock();
        let expired = link.queue.look_before_next();
        let Some(item) = link.queue.pop() else {
            let handle = link.satisfied();
            drop(link);
            self.dispose(expired, handle);
            return None;
        };
        link.flushed = false;
        let handle = link.satisfied();
        drop(link);
        if !expired.is_empty() {
            // A panic of the hook loses nothing but its own item.
            let mut relay = Relay::new();
            relay.call(|| self.dispose(expired, None));
            if relay.has_panicked() {
                relay.call(|| self.lose(item));
                relay.resume();
                return None;
            }
        }
        if let Some(handle) = handle {
            let mut relay = Relay::new();
            relay.call(|| handle.wake());
            if relay.has_panicked() {
                relay.call(|| self.lose(item));
                relay.resume();
                return None;
            }
        }
        Some(item)
    }

    /// Wakes the handle, and gives what has expired to the hook.
    fn dispose(&self, expired: Expired<T>, handle: Option<Waker>) {
        let mut relay = Relay::new();
        relay.call(|| self.conclude(false, handle));
        relay.call(|| expired.conclude(&self.hooks, &self.reporter));
        relay.resume();
    }

    /// An item was taken and goes nowhere.
    fn lose(&self, item: T) {
        let changed = self.lock().queue.settle(Handed::Failed);
        let mut relay = Relay::new();
        relay.call(|| self.conclude(changed, None));
        relay.call(|| self.hooks.dispose([item], DropReason::Failed));
        relay.resume();
    }

    pub(crate) fn flushed(&self) {
        let mut link = self.lock();
        link.flushed = true;
        let handle = link.satisfied();
        drop(link);
        self.conclude(false, handle);
    }

    /// Leaves an error to the handle, or gives it back if there is none any more.
    pub(crate) fn fail(&self, error: BackpressureSinkError<T, E>) -> Outcome<T, E> {
        self.report(self.lock(), Err(error))
    }

    /// The inner sink was closed, well or not.
    pub(crate) fn closed(&self, outcome: Outcome<T, E>) -> Outcome<T, E> {
        let mut link = self.lock();
        link.phase = Phase::Closed;
        link.flushed = true;
        self.report(link, outcome)
    }

    fn report(&self, mut link: MutexGuard<'_, Link<T, E>>, outcome: Outcome<T, E>) -> Outcome<T, E> {
        let kept = if link.handle_is_gone {
            outcome
        } else {
            link.failure = outcome.err();
            Ok(())
        };
        let handle = link.satisfied();
        drop(link);
        self.conclude(false, handle);
        kept
    }

    /// The driver is no more. What is queued is the handle's, as long as there is one.
    pub(crate) fn leave(&self, handed: Handed) {
        let mut link = self.lock();
        let changed = link.queue.settle(handed) | link.queue.drain();
        link.driver_is_gone = true;
        let driver = link.driver.take();
        let handle = link.satisfied();
        drop(link);
        drop(driver);
        self.conclude(changed, handle);
    }
}

impl<T, E> Link<T, E> {
    /// What a handle that wants this is told; `None` while it has to wait.
    fn outcome(&mut self, want: Want) -> Option<Outcome<T, E>> {
        let outcome = match self.failure.take() {
            Some(failure) => Err(failure),
            None if self.grants(want)? => Ok(()),
            None => Err(BackpressureSinkError::Closed(None)),
        };
        if want == Want::Room {
            self.queue.end_wait();
        }
        Some(outcome)
    }

    /// Whether this is so now, or will never be; `None` while it may come.
    fn grants(&mut self, want: Want) -> Option<bool> {
        let granted = match want {
            Want::Room if self.takes_nothing() => return Some(false),
            Want::Room => self.queue.is_open(),
            Want::Flushed => self.queue.is_empty() && self.flushed,
            Want::Closed => self.phase == Phase::Closed,
        };
        if granted || self.driver_is_gone { Some(granted) } else { None }
    }

    fn takes_nothing(&self) -> bool {
        self.phase != Phase::Open || self.driver_is_gone
    }

    /// The handle's waker, if it would be told something now.
    fn satisfied(&mut self) -> Option<Waker> {
        let want = self.handle.as_ref()?.0;
        let is_news = self.failure.is_some() || self.grants(want).is_some();
        if is_news && want == Want::Room {
            self.queue.end_wait();
        }
        if is_news { self.handle.take().map(|(_, waker)| waker) } else { None }
    }
}
