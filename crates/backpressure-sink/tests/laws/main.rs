//! The laws that a sink has to keep, adapter by adapter. A test's name begins with the number of its law.

#[cfg(feature = "time")]
mod batching;
mod buffer;
mod bytes;
mod conservation;
mod driven;
mod ends;
#[cfg(feature = "time")]
mod expiry;
mod fair;
mod kit;
mod model;
mod panics;
mod reconfigure;
mod schedules;
mod service;
mod types;
#[cfg(feature = "time")]
mod waits;
