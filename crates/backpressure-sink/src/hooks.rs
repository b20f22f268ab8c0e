//! The user's closures.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use backpressure_core::{DropReason, Priority, Tag};

type Rank<T> = Arc<dyn Fn(&T) -> Priority + Send + Sync>;

pub(crate) struct Hooks<T> {
    pub(crate) weigh: Option<Weigher<T>>,
    pub(crate) rank: Option<Rank<T>>,
    pub(crate) on_drop: Option<Arc<dyn Fn(T, DropReason) + Send + Sync>>,
}

pub(crate) enum Weigher<T> {
    /// The item's own; a plain function, so that items may borrow.
    Own(fn(&T) -> usize),
    Given(Arc<dyn Fn(&T) -> usize + Send + Sync>),
}

impl<T> Weigher<T> {
    #[inline]
    pub(crate) fn weigh(&self, item: &T) -> usize {
        match self {
            Self::Own(weigh) => weigh(item),
            Self::Given(weigh) => weigh(item),
        }
    }
}

impl<T> Hooks<T> {
    pub(crate) const NONE: Self = Self { weigh: None, rank: None, on_drop: None };

    #[inline]
    pub(crate) fn tag(&self, item: &T) -> Tag {
        let mut tag = Tag::default();
        if let Some(weigh) = &self.weigh {
            tag.weight = weigh.weigh(item);
        }
        if let Some(rank) = &self.rank {
            tag.priority = rank(item);
        }
        tag
    }

    /// Gives every lost item to the hook. If the hook panics on one, the others still get their turn, and the panic goes
    /// on afterwards, unless this thread is unwinding already.
    pub(crate) fn dispose(&self, items: impl IntoIterator<Item = T>, reason: DropReason) {
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

impl<T> Clone for Hooks<T> {
    /// The same closures; no `T` is cloned.
    fn clone(&self) -> Self {
        Self { weigh: self.weigh.clone(), rank: self.rank.clone(), on_drop: self.on_drop.clone() }
    }
}

impl<T> Clone for Weigher<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(weigh) => Self::Own(*weigh),
            Self::Given(weigh) => Self::Given(Arc::clone(weigh)),
        }
    }
}

impl<T> fmt::Debug for Weigher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weigher")
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
