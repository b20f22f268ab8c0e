//! What the user says about what becomes of items.

use std::sync::Arc;

use backpressure_core::DropReason;

pub(crate) type OnDrop<T> = Arc<dyn Fn(T, DropReason) + Send + Sync>;
