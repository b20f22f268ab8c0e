//! Layers whose settings come from files and the environment, with the feature `serde`.
//!
//! What is read goes through the builders. A layer that takes functions, or a gauge, is read as its builder, to which they are added.

#[cfg(feature = "batch")]
mod batch;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "http")]
mod linger;
#[cfg(feature = "shed")]
mod policy;
#[cfg(feature = "shed")]
mod shed;
