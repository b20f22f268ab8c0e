//! Keeping apart what different threads write.

/// Something on a cache line of its own: whoever writes it slows down nobody who reads something else.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Padded<T>(pub T);
