//! The engine of the micro-batches.

mod adapt;
mod alarm;
mod driver;
mod gather;
mod keyed;
mod single;

pub(crate) use alarm::Alarm;
pub(crate) use keyed::KeyedBatches;
pub(crate) use single::Batches;
