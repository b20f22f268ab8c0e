//! The user's code, called and dropped so that its panics are contained.
//!
//! A panic in the drop of one item must not cost another, and two of them in one `Vec` would abort the process. What the
//! controller holds of the user's is therefore [`Careful`], in whatever way it goes.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls into the user's code, or what may wake the user's wakers; nothing if it panics.
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => Some(answer),
        Err(panic) => {
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                mem::forget(again);
            }
            None
        }
    }
}

/// Drops values one at a time. A panic in one is caught, and costs the others nothing.
pub(crate) fn discard<T>(values: impl IntoIterator<Item = T>) {
    let mut values = values.into_iter();
    if mem::needs_drop::<T>() {
        while guarded(|| values.by_ref().for_each(drop)).is_none() {}
    }
}

/// A collection whose values are [discarded](discard) when it is dropped.
pub(crate) struct Careful<C: IntoIterator + Default>(C);

impl<C: IntoIterator + Default> Careful<C> {
    pub(crate) const fn new(values: C) -> Self {
        Self(values)
    }

    pub(crate) fn release(mut self) -> C {
        mem::take(&mut self.0)
    }
}

/// A copy of a batch; nothing if an item cannot be copied.
pub(crate) fn copied<T: Clone>(items: &[T]) -> Option<Careful<Vec<T>>> {
    let mut copies = Careful::new(Vec::with_capacity(items.len()));
    guarded(|| copies.extend_from_slice(items))?;
    Some(copies)
}

impl<C: IntoIterator + Default> Deref for Careful<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C: IntoIterator + Default> DerefMut for Careful<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.0
    }
}

impl<C: IntoIterator + Default> Default for Careful<C> {
    fn default() -> Self {
        Self(C::default())
    }
}

impl<C: IntoIterator + Default> Drop for Careful<C> {
    fn drop(&mut self) {
        discard(mem::take(&mut self.0));
    }
}

impl<C: IntoIterator + Default> fmt::Debug for Careful<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Careful").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    struct Bomb(Rc<Cell<u32>>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            panic!("a careless drop");
        }
    }

    #[test]
    fn every_value_is_dropped_once_although_each_panics_even_while_the_thread_unwinds() {
        let dropped = Rc::new(Cell::new(0));
        let bombs = |count| Careful::new((0..count).map(|_| Bomb(Rc::clone(&dropped))).collect::<Vec<_>>());
        drop(bombs(3));
        assert_eq!(dropped.get(), 3);
        let kept = bombs(4);
        assert!(guarded(|| panic!("with {} bombs in hand", { kept }.len())).is_none());
        assert_eq!(dropped.get(), 7);
        assert!(guarded(|| std::panic::panic_any(Lost)).is_none(), "a panic whose own drop panics");
        discard(bombs(2).release());
        assert_eq!(dropped.get(), 9);
    }

    struct Lost;

    impl Drop for Lost {
        fn drop(&mut self) {
            panic!("a careless drop");
        }
    }
}
