//! What the user says about what becomes of items.

use std::sync::Arc;

use backpressure_core::DropReason;

use crate::outcome::FlushError;
use crate::verdict::Verdict;

pub(crate) type OnDrop<T> = Arc<dyn Fn(T, DropReason) + Send + Sync>;

pub(crate) type Judge<E> = Box<dyn FnMut(&E) -> Verdict + Send>;

pub(crate) type OnFailed<T, E> = Box<dyn FnMut(Vec<T>, FlushError<E>) + Send>;
