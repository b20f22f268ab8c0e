//! A buffer in front of an inner part that is a sink and a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use crate::sink::BackpressureSink;

/// The stream side of an inner part that has both, untouched.
impl<Si: Stream, T> Stream for BackpressureSink<Si, T> {
    type Item = Si::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Si::Item>> {
        self.get_pin_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.get_ref().size_hint()
    }
}

impl<Si: FusedStream, T> FusedStream for BackpressureSink<Si, T> {
    fn is_terminated(&self) -> bool {
        self.get_ref().is_terminated()
    }
}
