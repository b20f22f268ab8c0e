//! The weight, priority, key and deadline of an item.

use std::time::Instant;

use crate::strategy::Priority;

/// What a buffer needs to know of an item beside the item itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// What the item counts against the weight bound. Ignored by a buffer that does not weigh. Default 1.
    pub weight: usize,
    /// How important the item is. Ignored by a buffer without priorities. Default [`Priority::NORMAL`].
    pub priority: Priority,
    /// Which items belong together: a hash of what they have in common. Ignored by a buffer that is not
    /// [fair](crate::BoundedBuffer::fair). Default 0.
    pub key: u32,
    /// When the item expires. Ignored by a buffer that is not [dated](crate::BoundedBuffer::dated). Default: never.
    pub deadline: Option<Instant>,
}

impl Tag {
    /// The tag of an item of which nothing is known. One that can be pointed at costs nothing to pass.
    #[doc(hidden)]
    pub const DEFAULT: Self = Self { weight: 1, priority: Priority::NORMAL, key: 0, deadline: None };
}

impl Default for Tag {
    #[inline]
    fn default() -> Self {
        Self::DEFAULT
    }
}
