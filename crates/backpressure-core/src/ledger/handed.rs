//! The consumer's own count of items taken, outside the buffer's lock.

use std::fmt;

use backpressure_rt::sync::{AtomicU64, Ordering};

/// Set while the consumer is to come to the lock after each item.
const CALLED: u64 = 1 << 63;

/// How many items were ever taken, and whether the consumer was called, in one word: either the caller sees an item in the
/// count, or the consumer sees the call when it takes the item. On a cache line of its own, which is the consumer's until
/// somebody looks.
///
/// Every change is a read-modify-write, acquire and release: whoever sees the count sees what was done with the items, and
/// whoever is called sees why.
#[repr(align(128))]
pub(crate) struct Handed(AtomicU64);

impl Handed {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn count(&self) -> u64 {
        // Acquire: pairs with the addition in `take`.
        self.0.load(Ordering::Acquire) & !CALLED
    }

    /// So many more were taken. Answers whether the consumer is called.
    #[inline]
    pub(crate) fn take(&self, items: usize) -> bool {
        // AcqRel: releases what was done with the items to `count` and `call`, and acquires why it is called.
        self.0.fetch_add(items as u64, Ordering::AcqRel) & CALLED != 0
    }

    /// Calls the consumer. Answers how many items it had taken before.
    pub(crate) fn call(&self) -> u64 {
        // AcqRel: acquires the items taken so far, and releases the reason to the next `take`.
        self.0.fetch_or(CALLED, Ordering::AcqRel) & !CALLED
    }

    /// Takes the call back.
    pub(crate) fn dismiss(&self) {
        // AcqRel: keeps the chain of `take` and `call` whole.
        self.0.fetch_and(!CALLED, Ordering::AcqRel);
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handed").field(&self.count()).finish()
    }
}
