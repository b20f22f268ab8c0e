//! The fill level of a buffer.

use backpressure_rt::sync::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use super::bounds::{BoundCells, Bounds};
use crate::config::BackpressureConfig;
use crate::ledger::Handed;
use crate::state::State;

/// How full the buffer is.
#[derive(Debug)]
pub(crate) struct Fill {
    state: AtomicU8,
    /// Slots held, and those given back of items that the consumer has counted.
    held: AtomicU64,
    weight: AtomicUsize,
    pub(super) bounds: BoundCells,
}

impl Fill {
    pub(super) fn new(config: &BackpressureConfig) -> Self {
        Self {
            state: AtomicU8::new(State::Normal.as_u8()),
            held: AtomicU64::new(0),
            weight: AtomicUsize::new(0),
            bounds: BoundCells::new(config),
        }
    }

    #[inline]
    pub(super) fn hold(&self, held: u64) {
        // Release: pairs with the load in `held`; who sees the slots sees the count that made room for them.
        self.held.store(held, Ordering::Release);
    }

    #[inline]
    pub(super) fn store(&self, held: u64, weight: usize) {
        self.hold(held);
        if self.bounds.weighs() {
            self.weight.store(weight, Ordering::Relaxed);
        }
    }

    pub(super) fn enter(&self, state: State) {
        self.state.store(state.as_u8(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Relaxed)).unwrap_or(State::Draining)
    }

    /// The slots held. They are read before the count: none is missing in it that made room for one of them.
    #[inline]
    fn held(&self, handed: &Handed) -> u64 {
        // Acquire: pairs with the store in `hold`.
        let held = self.held.load(Ordering::Acquire);
        held.saturating_sub(handed.count())
    }

    /// Whether every slot is held.
    #[inline]
    pub(super) fn is_full(&self, handed: &Handed) -> bool {
        self.held(handed) >= self.bounds.capacity() as u64
    }

    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// The filled share of these bounds.
    pub(super) fn utilization(&self, bounds: Bounds, handed: &Handed) -> f64 {
        let items = self.held(handed) as f64 / bounds.capacity as f64;
        bounds.max_weight.map_or(items, |max| items.max(self.weight() as f64 / max as f64))
    }
}
