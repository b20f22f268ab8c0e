//! The clients that still send a shed request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The requests that a layer still reads although it has shed them; see [`ShedHandle::lingering`](super::ShedHandle::lingering).
///
/// Bodies that had arrived whole by the time they were shed are in none of these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LingerCounts {
    /// Those that are being read now.
    pub now: usize,
    /// Those that were read to their end, so that their connections could be kept.
    pub ended: u64,
    /// Those that were given up because of their time or their bytes.
    pub cut: u64,
    /// Those whose client closed the connection, or which failed otherwise.
    pub failed: u64,
    /// Those that were not read, because as many as may linger did already.
    pub refused: u64,
}

/// The room for requests that linger, shared by all services of a layer. It is what a [`Responder`](super::Responder) needs to
/// let one linger.
#[derive(Debug, Clone, Default)]
pub struct Lingering(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    now: AtomicUsize,
    ended: AtomicU64,
    cut: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

impl Lingering {
    pub(super) fn counts(&self) -> LingerCounts {
        let Cells { now, ended, cut, failed, refused } = &*self.0;
        LingerCounts {
            now: now.load(Ordering::Relaxed),
            ended: ended.load(Ordering::Relaxed),
            cut: cut.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
        }
    }
}

/// What became of a request that lingered.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Ended,
    Cut,
    Failed,
}

/// A place among those that linger. One that is dropped without a fate has failed.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct Stay {
    lingering: Lingering,
    fate: Fate,
}

#[cfg(feature = "http")]
impl Lingering {
    /// A place, unless there are as many as there may be.
    pub(crate) fn enter(self, most: usize) -> Option<Stay> {
        let enter = |now: usize| now.checked_add(1).filter(|now| *now <= most);
        if self.0.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).is_err() {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Stay { lingering: self, fate: Fate::Failed })
    }
}

#[cfg(feature = "http")]
impl Stay {
    pub(crate) fn end(mut self, fate: Fate) {
        self.fate = fate;
    }
}

#[cfg(feature = "http")]
impl Drop for Stay {
    fn drop(&mut self) {
        let cells = &*self.lingering.0;
        let count = match self.fate {
            Fate::Ended => &cells.ended,
            Fate::Cut => &cells.cut,
            Fate::Failed => &cells.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        cells.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    #[test]
    fn d3_no_more_linger_than_may_and_c2_each_has_one_fate() {
        let lingering = Lingering::default();
        let enter = || lingering.clone().enter(2);
        let (first, second) = (enter().unwrap(), enter().unwrap());
        assert!(enter().is_none());
        first.end(Fate::Ended);
        let third = enter().unwrap();
        assert_eq!(lingering.counts().now, 2);
        second.end(Fate::Cut);
        drop(third);
        let expected = LingerCounts { now: 0, ended: 1, cut: 1, failed: 1, refused: 1 };
        assert_eq!(lingering.counts(), expected);
        assert!(lingering.clone().enter(0).is_none());
        assert!(lingering.enter(usize::MAX).is_some(), "d6");
    }
}
