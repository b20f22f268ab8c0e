//! A hash that is the same in every process.

use std::hash::{DefaultHasher, Hash, Hasher};

pub(crate) fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
