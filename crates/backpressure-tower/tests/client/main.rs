//! The laws of those who call: throttle and retry budget.

mod advice;
mod kit;
mod retry;
mod throttle;
mod types;
