//! The decisions of a source that pulls: plain values, told what happened and the time, answering with commands.

mod books;
mod demand;
mod held;
mod ids;
mod machine;
mod out;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use books::PullCounts;
pub(crate) use machine::{Pull, Reception};
