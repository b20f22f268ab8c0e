//! The engine of the micro-batches.

mod adapt;
mod alarm;
mod driver;
mod expiring;
mod gather;
mod keyed;
mod losses;
mod single;

pub(crate) use alarm::Alarm;
pub(crate) use keyed::KeyedBatches;
pub(crate) use single::Batches;
