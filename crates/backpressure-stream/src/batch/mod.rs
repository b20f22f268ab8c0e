//! The engine of the micro-batches.

mod adapt;
mod alarm;
mod driver;
mod gather;
mod glance;
mod keyed;
mod single;

pub(crate) use keyed::KeyedBatches;
pub(crate) use single::Batches;
