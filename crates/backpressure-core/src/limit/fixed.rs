//! A fixed limit.

use super::{Limit, Window};
use crate::ConfigError;

/// A limit that stays.
///
/// It is as good as the guess: too low wastes capacity, too high makes every call slow before it refuses any. For a part
/// whose capacity is a number that somebody chose (connections in a pool, say) it is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    limit: usize,
}

impl Fixed {
    /// A limit of `limit` calls in flight.
    ///
    /// # Errors
    ///
    /// Refuses zero (`limit`), under which nothing is ever admitted.
    pub fn new(limit: usize) -> Result<Self, ConfigError> {
        if limit == 0 {
            return Err(ConfigError::new("limit", limit, "at least 1"));
        }
        Ok(Self { limit })
    }
}

impl Limit for Fixed {
    fn limit(&self) -> usize {
        self.limit
    }

    fn update(&mut self, _: &Window) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_zero_is_refused() {
        assert_eq!(Fixed::new(0).unwrap_err().to_string(), "limit is 0, but must be at least 1");
    }
}
