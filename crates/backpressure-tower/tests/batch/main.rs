//! What a batcher promises, law by law: the calls and the worker are polled by hand, the clock is paused.

mod batches;
mod cancellation;
mod demand;
mod ends;
mod failures;
mod layers;
mod model;
mod shed;
mod support;
mod time;
mod wakes;
