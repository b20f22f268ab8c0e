//! What is to be done, as plain values: no lock, no waker, no atomic, and no clock of their own.
//!
//! [`Lanes`](lanes::Lanes) says which calls share a batch and when it is due, [`Batches`](batches::Batches) which calls are in
//! which batch after that, and [`Tuning`](tuning::Tuning) how many batches may be out, how large, and how long they may wait.

pub(super) mod batches;
pub(super) mod call;
pub(super) mod dedup;
pub(super) mod keys;
pub(super) mod lanes;
mod schedule;
pub(super) mod settings;
pub(super) mod tuning;
