//! The ledger: the fates of items, counted without a lock and read as of one instant.

mod cells;
mod counts;
mod handed;
mod refusals;
mod sequence;

pub(crate) use cells::Ledger;
pub use counts::Counts;
pub(crate) use counts::sum;
pub(crate) use handed::Handed;
pub(crate) use sequence::Sequence;
