//! The laws of shedding, by hand-driven polls.

mod call_times;
mod classes;
mod draining;
mod idle;
mod kit;
mod learning;
mod model;
mod sampling;
mod schedules;
mod slots;
mod states;
mod timeouts;
mod tracing;
mod turns;
mod types;
mod waiting;
