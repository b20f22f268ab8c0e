//! A conformance kit: the laws of backpressure as checks, for anybody's `Stream`, `Sink`, `Service` and channel.
//!
//! What is under test stands between two ends that the kit holds. It is led through random schedules, by hand: polls with
//! the same waker and with others, items, ends, failures, panics, answers of a wrong length, cancellations, and a clock
//! that is paused. A schedule that breaks a law is made as small as it can be.
//!
//! ```text
//!   Upstream ──▶ a Stream under test ──▶ the kit polls
//!   the kit sends ──▶ a Sink under test ──▶ Downstream
//!   callers of the kit ──▶ a Service under test ──▶ Inner
//!   producers of the kit ──▶ a channel under test ──▶ the kit receives
//! ```
//!
//! One macro call for each adapter makes a test:
//!
//! ```
//! use backpressure_tck::{Sinks, Streams, conforms};
//! use futures_util::{SinkExt, StreamExt};
//!
//! conforms! {
//!     chunks = Streams::batches(|upstream, most| upstream.chunks(most)).ahead(3);
//!     fused = Streams::of(|upstream| upstream.fuse());
//! }
//!
//! // Or by hand, to see what a library does:
//! let report = Sinks::of(|downstream| downstream.buffer(2)).bound(2).examine("futures Sink::buffer");
//! println!("{report}");
//! ```
//!
//! The wakers of the kit count. Whatever answers Ready after it was Pending must have woken the latest one (W1, W2, W4); a
//! Pending that wakes itself again and again is found (W3). Nothing waits for real time. The schedules are the same on
//! every machine.
//!
//! The laws carry the numbers that they have in the architecture of
//! [backpressure](https://crates.io/crates/backpressure): see [`laws`]. What a kit of this sort cannot see it does not
//! claim: that nothing was found in some hundred schedules is no proof.

mod channel;
mod downstream;
mod examine;
mod inner;
mod law;
mod report;
mod service;
mod sink;
mod stream;
mod upstream;
mod waking;

pub use channel::{Channel, Channels, Sending};
pub use downstream::{Downstream, Failed};
pub use inner::{Answering, AnsweringOne, Inner, Many, One};
pub use law::Law;
pub use report::{Broken, Finding, Report};
pub use service::Services;
pub use sink::Sinks;
pub use stream::Streams;
pub use upstream::Upstream;

/// The laws, one a constant.
pub mod laws {
    pub use crate::law::*;
}

/// Makes a test of each subject, which fails with every law that is broken and the smallest schedule that breaks it.
///
/// What stands on the right is anything with a method `examine(&self, name: &str) -> Report`.
#[macro_export]
macro_rules! conforms {
    ($($name:ident = $subject:expr);+ $(;)?) => {$(
        #[test]
        fn $name() {
            ($subject).examine(stringify!($name)).assert_conforms();
        }
    )+};
}
