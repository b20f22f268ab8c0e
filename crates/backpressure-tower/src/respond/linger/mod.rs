//! Reading the rest of a shed request, so that its client gets the answer.

mod bounds;
mod lingers;
mod rest;
#[cfg(test)]
mod tests;

pub use bounds::{Linger, NoLinger};
pub use lingers::Lingers;
