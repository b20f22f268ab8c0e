//! A producer's claim on the bound.

use backpressure_core::BoundedBuffer;

/// A slot, and so much weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) weight: usize,
    /// It has no item yet, so nobody knows how long it is kept: a permit, or a sink that is ready.
    pub(crate) is_kept: bool,
}

impl Claim {
    /// For an item that is at hand.
    pub(crate) const fn of_item(weight: usize) -> Self {
        Self { weight, is_kept: false }
    }

    /// For an item that may come.
    pub(crate) const fn kept(weight: usize) -> Self {
        Self { weight, is_kept: true }
    }
}

/// All that is kept without an item.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    slots: usize,
    weight: usize,
}

impl Kept {
    /// This claim was granted.
    #[inline]
    pub(crate) fn add(&mut self, claim: Claim) {
        if claim.is_kept {
            self.slots += 1;
            self.weight += claim.weight;
        }
    }

    /// This claim was used or given back.
    #[inline]
    pub(crate) fn remove(&mut self, claim: Claim) {
        if claim.is_kept {
            self.slots -= 1;
            self.weight -= claim.weight;
        }
    }

    /// Whether room for this weight depends on slots that are kept: without them it would come as the consumer takes what is
    /// queued, with them it would not come even then.
    #[inline]
    pub(crate) fn bars<T>(&self, buffer: &BoundedBuffer<T>, weight: usize) -> bool {
        self.slots > 0 && !buffer.fits_beside(self.slots, self.weight, weight)
    }
}
