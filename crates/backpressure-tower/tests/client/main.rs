//! The laws of those who call: throttle and retry budget.

mod advice;
mod grpc;
mod kit;
mod meaning;
mod peer;
mod retry;
mod throttle;
mod types;
