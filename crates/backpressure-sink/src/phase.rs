//! How far a sink is from its end.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Takes nothing more, delivers what it holds.
    Draining,
    /// The inner part was closed, well or not.
    Closed,
}
