//! The promises of the adapters, by their numbers: hand-driven polls, counting wakers, a paused clock, and upstreams that
//! misbehave.

mod backpressure;
mod backpressure_model;
mod coalesce;
mod compile;
mod composition;
mod conflate;
mod differential;
mod expiry;
mod fair;
mod forward;
mod micro_batch;
mod micro_batch_by;
mod micro_batch_expiry;
mod micro_batch_model;
mod micro_batch_time;
mod reconfigure;
mod spawned;
mod support;
mod try_micro_batch;
