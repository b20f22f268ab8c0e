//! The user's closures.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use backpressure_core::{DropReason, Priority, Tag};

pub(crate) type Weigh<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;
pub(crate) type Rank<T> = Box<dyn Fn(&T) -> Priority + Send + Sync>;
pub(crate) type OnDrop<T> = Arc<dyn Fn(T, DropReason) + Send + Sync>;

pub(crate) struct Hooks<T> {
    pub(crate) weigh: Option<Weigh<T>>,
    pub(crate) rank: Option<Rank<T>>,
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
