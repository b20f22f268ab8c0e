//! Where the time of a pipeline goes.

mod bottleneck;
mod recent;
mod work;

pub use bottleneck::{Bottleneck, Cause, Stage, bottleneck};
pub use recent::RecentWork;
pub use work::{Work, WorkClock, WorkShares, WorkTimes};
