//! The laws of those who call: throttle and retry budget.

mod advice;
mod deadline;
mod grpc;
mod kit;
mod meaning;
mod peer;
mod replay;
mod retry;
mod throttle;
mod types;
