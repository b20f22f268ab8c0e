//! An offer that is not through with its item yet.

/// There is more to an offer than putting its item into the queue.
#[derive(Debug)]
pub(crate) struct Unsent;

/// The item of an offer, which takes it once.
///
/// # Panics
///
/// If it was taken before.
#[inline]
pub(crate) fn taken<T>(item: &mut Option<T>) -> T {
    item.take().expect("an offer has one item")
}
