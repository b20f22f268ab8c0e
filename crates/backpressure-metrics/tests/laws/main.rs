//! What the registry and its text promise, of parts of every kind.

mod bottleneck;
mod cost;
mod ending;
mod kit;
mod layers;
mod registry;
mod text;
mod work;
