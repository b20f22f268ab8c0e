//! The runtimes that everything is measured on.

use std::fmt;

use tokio::runtime::{Builder, Runtime};

/// A tokio runtime of one thread, or of two workers.
#[derive(Clone, Copy)]
pub(crate) enum Flavor {
    /// `current_thread`.
    OneThread,
    /// `multi_thread` with two workers.
    TwoWorkers,
}

impl Flavor {
    /// A fresh runtime of this flavor.
    pub(crate) fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::OneThread => Builder::new_current_thread(),
            Self::TwoWorkers => Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneThread => "one thread",
            Self::TwoWorkers => "two workers",
        })
    }
}

/// Measures on both.
pub(crate) fn each_flavor(measure: impl FnMut(Flavor)) {
    [Flavor::OneThread, Flavor::TwoWorkers].into_iter().for_each(measure);
}
