//! The runner: it takes calls, sends batches to the inner service, and hands out the answers.
//!
//! The [engine](engine::Engine) does so, whoever runs it: the [worker], one task for the whole life of a batcher, or a caller,
//! through the exchange, which knows it as a [`Run`](super::exchange::Run).

mod complete;
mod dispatch;
mod engine;
mod gather;
mod inner;
mod reconfigure;
mod run;
pub(super) mod worker;
