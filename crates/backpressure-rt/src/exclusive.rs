//! Sharing what is touched by its owner alone.

use std::sync::{Mutex, PoisonError};

/// A value that is reached through `&mut` only, so that it may be shared whatever it is. The mutex is never locked.
#[derive(Debug)]
pub struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    /// A value of one owner.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// The value, for its owner.
    pub fn get(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
