//! An item on its way to the inner sink, counted whatever the sink does.

use std::mem::ManuallyDrop;

use backpressure_core::DropReason;

use crate::queue::{Handed, Queue};

/// An item is in the hands of the inner sink. Unless it is delivered it has failed, also if the inner sink panics.
pub(crate) struct InHand<'a, T> {
    queue: &'a mut Queue<T>,
}

impl<'a, T> InHand<'a, T> {
    #[inline]
    pub(crate) fn take(queue: &'a mut Queue<T>) -> Option<(T, Self)> {
        let item = queue.pop()?;
        Some((item, Self { queue }))
    }

    #[inline]
    pub(crate) fn delivered(self) {
        let mut hand = ManuallyDrop::new(self);
        hand.settle(Handed::Delivered);
    }

    #[inline]
    fn settle(&mut self, handed: Handed) {
        if self.queue.settle(handed) {
            self.queue.reporter.notify();
        }
    }
}

impl<T> Drop for InHand<'_, T> {
    fn drop(&mut self) {
        self.settle(Handed::Failed);
    }
}

/// An item goes past the queue. Unless it is delivered or stopped it has failed, also if the inner sink panics.
pub(crate) struct Passing<'a, T> {
    queue: &'a mut Queue<T>,
}

impl<'a, T> Passing<'a, T> {
    #[inline]
    pub(crate) const fn by(queue: &'a mut Queue<T>) -> Self {
        Self { queue }
    }

    #[inline]
    pub(crate) fn delivered(self) {
        ManuallyDrop::new(self).queue.passed();
    }

    /// Another way is found for the item.
    #[inline]
    pub(crate) fn stop(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl<T> Drop for Passing<'_, T> {
    fn drop(&mut self) {
        self.queue.reporter.refused(DropReason::Failed);
    }
}
