//! What the registry and its text promise, of parts of every kind.

mod bottleneck;
mod kit;
mod registry;
mod work;
