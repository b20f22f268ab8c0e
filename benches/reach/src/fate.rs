//! What becomes of a producer whose consumer reads nothing.

/// What became of the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stands still, so many items ahead.
    Stands(usize),
    /// It never stopped.
    NoBound,
    /// The connection broke when so many items were on their way.
    Lost(usize),
}
