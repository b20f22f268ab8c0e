//! The time of a pipeline: where it is spent.

mod activity;
mod bottleneck;
mod recent;
mod work;

pub use activity::{Activity, Work};
pub use bottleneck::{Bottleneck, Cause, Stage, bottleneck};
pub use recent::RecentWork;
pub use work::{WorkClock, WorkShares, WorkTimes};
