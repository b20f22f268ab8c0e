//! Calls in flight, bounded and counted by one atomic word: for a part that holds no buffer.

mod calls;
mod meter;
mod packed;
mod word;

pub use meter::AdmissionMeter;
pub use word::AdmissionState;
