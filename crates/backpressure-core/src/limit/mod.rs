//! Concurrency limits: how many calls at once.
//!
//! A part that takes calls has a best number of them in flight. With fewer it idles; with more it only makes each of them
//! slower. A [`Limit`] finds that number from what can be seen from outside: how many calls are in flight, how many leave
//! and how long they take. The rest of this module is what a limit needs around it.
//!
//! ```text
//!  arrivals ──▶ Threshold ──▶ in flight < limit? ──yes──▶ the part ──▶ departures
//!               (Level)            │no     ▲                              │
//!                                  ▼       │ Limit::update ◀── Window ◀── Sampler
//!                        CoDel: wait a little, else refuse: retry_after
//! ```
//!
//! * **What is the number?** [`Fast`] for most; [`Fixed`] if you know it; [`Aimd`], [`Vegas`] and [`Gradient`] as they are
//!   known from elsewhere, for comparison and for those who trust them. Several callers that share a part, each with a limit of
//!   its own, take [`Aimd::with_rise_per_second`].
//! * **From what does it learn?** A [`Window`], which a [`Sampler`] gathers from calls that end with an [`Outcome`].
//! * **Whose fault is it?** A [`ClassLimit`] holds down a class of calls that fails, or waits for something that only it needs.
//! * **Who goes first?** A [`Criticality`] and a rank make a [`Level`]; the [`Threshold`] says which levels fit. [`Usage`] knows
//!   who calls most, and should go last.
//! * **And the others?** [`CoDel`] says how long to wait, [`retry_after`] when to come back.
//!
//! All of it learns once per window, not once per call: a limit that moves with every call moves faster the more calls
//! there are, and there are most of them when it should be calm.

mod aimd;
mod baseline;
#[cfg(test)]
mod behaviour;
mod bounds;
mod class;
mod codel;
mod failures;
mod fast;
mod fixed;
mod gradient;
mod level;
mod probes;
mod pulse;
mod quantiles;
mod retry;
mod sampler;
mod threshold;
mod trial;
mod usage;
mod vegas;
mod why;
mod window;

use std::fmt;

pub use aimd::Aimd;
pub use bounds::Bounds;
pub use class::{ClassLimit, Surroundings};
pub use codel::CoDel;
pub use fast::Fast;
pub use fixed::Fixed;
pub use gradient::Gradient;
pub use level::{Criticality, Level};
pub use quantiles::Quantiles;
pub use retry::{reserve, retry_after};
pub use sampler::Sampler;
pub use threshold::Threshold;
pub use usage::Usage;
pub use vegas::Vegas;
pub use window::{Outcome, Window};

/// A rule for the number of calls in flight.
///
/// It is a plain value: it is told of a [`Window`] and answers the limit from then on. It must answer at least 1, or
/// nothing will ever be admitted from which it could learn better.
pub trait Limit: fmt::Debug + Send {
    /// The limit now.
    fn limit(&self) -> usize;

    /// Learns from a window, and answers the limit from now on.
    fn update(&mut self, window: &Window) -> usize;

    /// Why the limit is what it is, in words and numbers for people to read. Default: what it is.
    fn explain(&self) -> String {
        format!("the limit is {}", self.limit())
    }
}

impl<L: Limit + ?Sized> Limit for Box<L> {
    fn limit(&self) -> usize {
        (**self).limit()
    }

    fn update(&mut self, window: &Window) -> usize {
        (**self).update(window)
    }

    fn explain(&self) -> String {
        (**self).explain()
    }
}
