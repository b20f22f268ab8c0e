//! One part of a library, and what it was found to do.

use std::fmt;

use backpressure_tck::Report;

/// A part of a library to be examined.
pub struct Peer {
    /// The package that it comes from.
    pub package: &'static str,
    pub part: &'static str,
    examine: Box<dyn Fn() -> Report>,
}

impl Peer {
    pub fn new(package: &'static str, part: &'static str, examine: impl Fn() -> Report + 'static) -> Self {
        Self { package, part, examine: Box::new(examine) }
    }

    pub fn examine(&self) -> Report {
        (self.examine)()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.part)
    }
}
