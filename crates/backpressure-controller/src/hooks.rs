//! The user's hooks for failed and dropped items.

use std::sync::Arc;

use backpressure_core::DropReason;

pub(crate) type OnDrop<T> = Arc<dyn Fn(T, DropReason) + Send + Sync>;
