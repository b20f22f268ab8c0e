//! Calls in flight, bounded and counted by one atomic word, for parts without a buffer.

mod calls;
mod meter;
mod packed;
mod word;

pub use meter::AdmissionMeter;
pub use word::AdmissionState;
