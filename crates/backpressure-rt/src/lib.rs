//! What the shells of this workspace share. Internal: not for users, and free to change in any release.
//!
//! | what | for |
//! |---|---|
//! | [`now`], [`ClockSampler`] | the time, and when to look at it while items keep coming |
//! | [`Timer`], [`tokio_sleep`] | to be woken at a deadline; whether it has passed is for the clock to say |
//! | [`InFlight`] | futures polled in place, each only when it was woken |
//! | [`lock`], [`try_lock`], [`lock_contended`] | locks that outlive a panic and that threads share well |
//! | [`Mailbox`] | values that others leave for a task |
//! | [`Relay`], [`wake_all`], [`guarded`], [`discard`] | calls of the user's code, which may panic |
//! | [`Exclusive`], [`Padded`], [`thread_number`] | what is shared between threads, and how little of it |
//! | [`sync`] | std's locks and atomics, or loom's when its models run |
//!
//! Nothing here decides anything, and nothing here knows a buffer, a batch or a limit.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod clock_sampler;
mod coarse_clock;
mod exclusive;
mod in_flight;
mod lock;
mod mailbox;
#[cfg(backpressure_loom)]
mod once;
mod padded;
mod relay;
#[cfg(any(feature = "tokio", feature = "thread-timer"))]
mod sleep;
pub mod sync;
mod thread;
#[cfg(any(feature = "tokio", feature = "thread-timer"))]
mod timer;
#[cfg(feature = "tokio")]
mod tokio_sleep;

pub use clock::now;
pub use clock_sampler::ClockSampler;
pub use coarse_clock::CoarseClock;
pub use exclusive::Exclusive;
pub use in_flight::InFlight;
pub use lock::{lock, lock_contended, try_lock};
pub use mailbox::Mailbox;
pub use padded::Padded;
pub use relay::{Panic, Relay, discard, guarded, wake_all};
pub use thread::{known_thread_number, thread_number};
#[cfg(any(feature = "tokio", feature = "thread-timer"))]
pub use timer::Timer;
#[cfg(feature = "tokio")]
pub use tokio_sleep::tokio_sleep;
