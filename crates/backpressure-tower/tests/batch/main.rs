//! What a batcher promises, law by law: the calls and the worker are polled by hand, the clock is paused.

mod batches;
mod cancellation;
mod crowd;
mod demand;
mod ends;
mod failures;
mod homes;
mod layers;
mod leading;
mod model;
mod reconfigure;
mod shed;
mod support;
mod time;
mod wakes;
