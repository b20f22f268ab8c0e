//! The holders of slots that can be taken back.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;

use backpressure_rt::sync::{AtomicU64, Mutex, Ordering};
use tokio::task::Unconstrained;
use tokio::time::{Instant, Sleep};

/// So many services hold slots at a time. Those of more than that take them at the call.
pub(super) const CELLS: usize = 64;

/// In a cell: it was there when somebody looked.
const SEEN: u64 = 1;

/// Who is ready and holds a slot. It costs those services a compare-and-swap each way, and no lock.
pub(super) struct Ready {
    /// In each the holder of a slot and whether it has been [`SEEN`], or 0. There are none where no service waits.
    cells: OnceLock<Box<[AtomicU64; CELLS]>>,
    holders: AtomicU64,
    /// 1 while an alarm is set.
    pub(super) is_watched: AtomicU64,
    pub(super) alarm: Mutex<Option<Alarm>>,
}

/// Rings when the cells are to be looked at.
pub(super) struct Alarm {
    pub(super) rings: Instant,
    // Outside of the task's budget: it is no task that it wakes.
    pub(super) sleep: Pin<Box<Unconstrained<Sleep>>>,
}

impl Ready {
    pub(super) fn new() -> Self {
        Self {
            cells: OnceLock::new(),
            holders: AtomicU64::new(0),
            is_watched: AtomicU64::new(0),
            alarm: Mutex::new(None),
        }
    }

    /// From now on there are cells.
    pub(super) fn enable(&self) {
        self.cells.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.cells.get().is_some()
    }

    /// A number for a holder, never 0.
    pub(super) fn holder(&self) -> u64 {
        self.holders.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A cell for this holder, if there is one left.
    pub(super) fn hold(&self, holder: u64) -> Option<usize> {
        let cells = self.cells.get()?;
        let order = (0..CELLS).map(|n| (holder as usize).wrapping_add(n) % CELLS);
        // AcqRel: pairs with `let_go` and `empty`; a cell is taken after whoever had it has let go.
        let take = |cell: &usize| {
            let (free, held) = (0, holder << 1);
            cells[*cell].load(Ordering::Relaxed) == free
                && cells[*cell].compare_exchange(free, held, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        order.into_iter().find(take)
    }

    pub(super) fn is_held(&self, cell: usize, holder: u64) -> bool {
        // Acquire: pairs with `empty`; who sees its slot gone sees what took it.
        self.cells.get().is_some_and(|cells| cells[cell].load(Ordering::Acquire) >> 1 == holder)
    }

    /// Empties the cell, unless the slot was taken back.
    pub(super) fn let_go(&self, cell: usize, holder: u64) -> bool {
        let mine = |seen: u64| (seen >> 1 == holder).then_some(0);
        let cell = self.cells.get().map(|cells| &cells[cell]);
        // AcqRel: pairs with `empty`. One of the two has the slot.
        cell.is_some_and(|cell| cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, mine).is_ok())
    }

    /// From here on those that are ready have been seen.
    pub(super) fn see(&self) {
        for cell in self.cells.get().into_iter().flat_map(|cells| cells.iter()) {
            let seen = |held: u64| (held != 0).then_some(held | SEEN);
            // AcqRel: keeps the chain from `hold` to `empty` whole.
            let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, seen);
        }
    }

    /// Empties the cells of up to so many that have been seen before, and answers how many slots are to be given back for them.
    pub(super) fn take_back(&self, most: usize) -> usize {
        self.empty(most, |held| held & SEEN != 0)
    }

    /// Empties all cells, and answers how many slots are to be given back for them.
    pub(super) fn take_all(&self) -> usize {
        self.empty(CELLS, |held| held != 0)
    }

    fn empty(&self, most: usize, is_due: impl Fn(u64) -> bool) -> usize {
        let cells = self.cells.get().into_iter().flat_map(|cells| cells.iter());
        let emptied = |cell: &&AtomicU64| {
            let emptied = |held: u64| is_due(held).then_some(0);
            // AcqRel: pairs with `let_go`. One of the two has the slot.
            cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, emptied).is_ok()
        };
        cells.filter(emptied).take(most).count()
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready")
    }
}
