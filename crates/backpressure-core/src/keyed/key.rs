//! The key by which items are kept in order.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

/// What stands for a key: 64 bits, made by a [`Keyer`] with a secret of its own.
///
/// Two keys that are the same here are kept in order together, which costs them some concurrency and nothing else. Among
/// ten thousand keys held at once that happens with a probability of 3 in 10¹².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) u64);

impl Key {
    /// The key of items that have none of their own: they are kept in order among themselves.
    pub const COMMON: Self = Self(0);
}

type KeyOf<T> = Box<dyn Fn(&T) -> Key + Send>;

/// Says which key an item has.
///
/// The key itself is hashed and dropped at once, so that nothing of it is kept, compared or cloned.
pub struct Keyer<T>(KeyOf<T>);

impl<T> Keyer<T> {
    /// By this closure.
    pub fn by<K: Hash>(key: impl Fn(&T) -> K + Send + 'static) -> Self {
        let secret = RandomState::new();
        Self(Box::new(move |item| Key(secret.hash_one(key(item)))))
    }

    /// The key of an item.
    ///
    /// # Panics
    ///
    /// If the closure does.
    pub fn key(&self, item: &T) -> Key {
        (self.0)(item)
    }
}

impl<T> fmt::Debug for Keyer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyer")
    }
}
