//! The plan, as plain values: no lock, no waker, no atomic and no clock.
//!
//! [`Lanes`] says which calls share a batch and when it is due, [`Batches`] which calls are in
//! which batch after that, and [`Tuning`] how many batches may be out, how large, and how long they may wait.

mod batches;
mod call;
mod config;
mod dedup;
mod keys;
mod lanes;
mod schedule;
mod settings;
mod tuning;

pub(super) use self::batches::{Batch, Batches, GONE};
pub(super) use self::call::{Inspector, QueuedCall};
pub use self::config::BatcherConfig;
pub(super) use self::dedup::Dedup;
pub(super) use self::keys::Keyed;
pub(super) use self::lanes::{Lanes, Limits, Taken, fullness};
pub use self::settings::Fallback;
pub(super) use self::settings::{Hooks, Linger, Settings};
pub(super) use self::tuning::Tuning;
