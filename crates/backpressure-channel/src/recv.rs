//! Receiving, as futures.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::budget::budgeted;
use crate::receiver::Receiver;

/// Receives one item. Made by [`Receiver::recv`].
#[derive(Debug)]
#[must_use = "nothing is received unless this is awaited"]
pub struct Recv<'a, T> {
    pub(crate) receiver: &'a mut Receiver<T>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.poll_recv_budgeted(cx)
    }
}

/// Receives as many items as there are. Made by [`Receiver::recv_many`].
#[derive(Debug)]
#[must_use = "nothing is received unless this is awaited"]
pub struct RecvMany<'a, T> {
    pub(crate) receiver: &'a mut Receiver<T>,
    pub(crate) out: &'a mut Vec<T>,
    pub(crate) max: usize,
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        budgeted(cx, |cx| this.receiver.poll_recv_many(cx, this.out, this.max))
    }
}
