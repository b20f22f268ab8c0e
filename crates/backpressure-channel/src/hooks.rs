//! The user's closures, and the promise never to call one under a lock.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use backpressure_core::{DropReason, Priority, Tag};

type Look<T, R> = Box<dyn Fn(&T) -> R + Send + Sync>;
type OnDrop<T> = Box<dyn Fn(T, DropReason) + Send + Sync>;

pub(crate) struct Hooks<T> {
    pub(crate) weigh: Option<Look<T, usize>>,
    pub(crate) rank: Option<Look<T, Priority>>,
    pub(crate) on_drop: Option<OnDrop<T>>,
}

impl<T> Hooks<T> {
    pub(crate) const NONE: Self = Self { weigh: None, rank: None, on_drop: None };

    #[inline]
    pub(crate) fn tag(&self, item: &T) -> Tag {
        let mut tag = Tag::default();
        if let Some(weigh) = &self.weigh {
            tag.weight = weigh(item);
        }
        if let Some(rank) = &self.rank {
            tag.priority = rank(item);
        }
        tag
    }

    /// Gives every lost item to the hook. If the hook panics on one, the others still get their turn, and the panic goes
    /// on afterwards, unless this thread is unwinding already.
    #[inline]
    pub(crate) fn dispose(&self, items: impl IntoIterator<Item = T>, reason: DropReason) {
        if self.on_drop.is_some() || std::mem::needs_drop::<T>() {
            self.dispose_each(items, reason);
        }
    }

    fn dispose_each(&self, items: impl IntoIterator<Item = T>, reason: DropReason) {
        let mut panicked: Option<Box<dyn Any + Send>> = None;
        for item in items {
            let call = || match &self.on_drop {
                Some(hook) => hook(item, reason),
                None => drop(item),
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
                panicked.get_or_insert(panic);
            }
        }
        match panicked {
            Some(panic) if !std::thread::panicking() => resume_unwind(panic),
            _ => {}
        }
    }
}

impl<T> fmt::Debug for Hooks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("weigh", &self.weigh.is_some())
            .field("rank", &self.rank.is_some())
            .field("on_drop", &self.on_drop.is_some())
            .finish()
    }
}
