//! A value for the owner of a task: others change it, and wake the task to look.

use std::task::Waker;

use crate::lock;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// The latest of several values, left by anybody for the one task that lives by it.
#[derive(Debug)]
pub struct Mailbox<M> {
    is_news: AtomicBool,
    inside: Mutex<Inside<M>>,
}

#[derive(Debug)]
struct Inside<M> {
    latest: M,
    is_news: bool,
    waker: Option<Waker>,
}

impl<M: Clone> Mailbox<M> {
    /// The value that the task lives by already.
    pub fn new(value: M) -> Self {
        Self {
            is_news: AtomicBool::new(false),
            inside: Mutex::new(Inside { latest: value, is_news: false, waker: None }),
        }
    }

    /// The latest value, taken by the task or not.
    pub fn latest(&self) -> M {
        lock(&self.inside).latest.clone()
    }

    /// Leaves a value in place of the latest, and wakes the task if it [waits](Self::wait).
    pub fn put(&self, value: M) {
        let mut inside = lock(&self.inside);
        let replaced = std::mem::replace(&mut inside.latest, value);
        inside.is_news = true;
        self.is_news.store(true, Ordering::Relaxed);
        let waker = inside.waker.take();
        drop(inside);
        drop(replaced);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The latest value, for the task, if it has not had it yet.
    #[inline]
    pub fn take(&self) -> Option<M> {
        // Relaxed: what it stands for is read under the lock, and who has to see it in time looks there, in `wait`.
        if self.is_news.load(Ordering::Relaxed) { self.take_news() } else { None }
    }

    #[inline(never)]
    fn take_news(&self) -> Option<M> {
        let mut inside = lock(&self.inside);
        self.is_news.store(false, Ordering::Relaxed);
        std::mem::take(&mut inside.is_news).then(|| inside.latest.clone())
    }

    /// The task is going to wait, and is woken by the next value. `false` if there is one already: it is to look again.
    #[must_use = "a value that is there wakes nobody"]
    pub fn wait(&self, waker: &Waker) -> bool {
        let inside = lock(&self.inside);
        if inside.is_news || inside.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            return !inside.is_news;
        }
        drop(inside);
        // Cloning and dropping wakers is the user's code.
        let waker = waker.clone();
        let mut inside = lock(&self.inside);
        let waits = !inside.is_news;
        let left = if waits { inside.waker.replace(waker) } else { Some(waker) };
        drop(inside);
        drop(left);
        waits
    }
}
