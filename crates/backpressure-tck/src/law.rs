//! The laws that are checked, by their numbers.

use std::fmt;

/// A law, with the number that it has in the architecture of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Law {
    /// Its number, such as `W1`.
    pub number: &'static str,
    /// What it says.
    pub text: &'static str,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.number, self.text)
    }
}

macro_rules! laws {
    ($($number:ident = $text:literal),+ $(,)?) => {$(
        #[doc = $text]
        pub const $number: Law = Law { number: stringify!($number), text: $text };
    )+};
}

laws! {
    B1 = "a batch is never empty, and not larger than it may be",
    B2 = "a first item leaves within its linger, even if the source never pauses",
    C2 = "every item has exactly one fate",
    D1 = "the inner part is given something only after it was ready, once per readiness",
    D2 = "nothing is pulled from upstream without room for it",
    D3 = "what is held never exceeds the bound",
    D4 = "after Ready the next item is taken",
    D5 = "one poll does a bounded amount of work",
    D6 = "nothing panics by itself",
    I1 = "the output is the input",
    I2 = "size_hint is true at every step",
    I3 = "a flush that is Ready has reached through the inner part",
    K1 = "time comes through tokio's clock",
    O2 = "with drops, the output is a subsequence of the input",
    O4 = "producers that wait are served first come, first served",
    S1 = "every caller gets its own answer",
    S2 = "a slot comes free again: of a call that is over, a ready service or a response future that is dropped",
    S4 = "in flight never exceeds the limit",
    S8 = "a failure or a panic of one call fails only its own callers",
    T1 = "close delivers all that was accepted, then closes the inner part once",
    T2 = "after the end nothing more reaches the inner part, and a stream stays None",
    T3 = "an error of the inner part surfaces, once",
    T5 = "an offer after the end is refused",
    T6 = "after drop nothing is kept alive",
    T9 = "the last partial batch is flushed when the last handle goes",
    W1 = "the latest waker is woken when what was pending can go on",
    W2 = "freed capacity wakes one who waits; one that was cancelled hands the wake on",
    W3 = "at rest nothing wakes itself",
    W4 = "the end wakes everybody who waits",
    X1 = "a send that was dropped pending loses no wake and no other item",
}
