//! The phases of a sink, from open to closed.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Takes nothing more, delivers what it holds.
    Draining,
    /// The inner part was closed, well or not.
    Closed,
}
