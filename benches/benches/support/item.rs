//! What is sent, in two sizes.

/// An item that carries a number, to be checked at the other end.
pub(crate) trait Item: Copy + Send + Sync + Unpin + 'static {
    /// How the case is called.
    const SIZE: &str;

    /// An item that carries `n`.
    fn of(n: u64) -> Self;

    /// The number it carries.
    fn number(&self) -> u64;
}

impl Item for u64 {
    const SIZE: &str = "8 bytes";

    fn of(n: u64) -> Self {
        n
    }

    fn number(&self) -> u64 {
        *self
    }
}

impl Item for [u64; 16] {
    const SIZE: &str = "128 bytes";

    fn of(n: u64) -> Self {
        [n; 16]
    }

    fn number(&self) -> u64 {
        self[15]
    }
}
