//! What a body occupies while it lasts: a slot or a stream.

#[cfg(feature = "grpc")]
use std::task::Poll;

use http_body::Body;
#[cfg(feature = "grpc")]
use http_body::Frame;

use crate::limiter::{OpenStream, Permit};
use crate::overloaded::Overloaded;

/// What a response occupies until its body ends.
#[derive(Debug)]
#[expect(dead_code, reason = "what is held is given back by being dropped")]
pub(super) enum Hold {
    /// Its call took no slot, or it has ended.
    Nothing,
    /// The slot of its call.
    Slot(Permit),
    /// The slot, until it is seen to be a stream.
    #[cfg(feature = "grpc")]
    SlotOfUnary { permit: Permit, has_data: bool },
    /// A place among the streams.
    Stream(OpenStream),
}

impl Hold {
    /// A body of a length that is known holds the slot, any other is a stream from here on.
    pub(super) fn of<B: Body>(body: &B, permit: Option<Permit>) -> Result<Self, Overloaded> {
        match permit {
            Some(permit) if body.size_hint().exact().is_none() && !body.is_end_stream() => {
                permit.into_stream().map(Self::Stream)
            }
            permit => Ok(Self::to_the_end(body, permit)),
        }
    }

    /// The body of an answer in gRPC, of which nobody knows the length.
    #[cfg(feature = "grpc")]
    pub(super) fn of_grpc<B: Body>(body: &B, permit: Option<Permit>) -> Self {
        match permit {
            Some(permit) if !body.is_end_stream() => Self::SlotOfUnary { permit, has_data: false },
            _ => Self::Nothing,
        }
    }

    /// The body holds the slot, unless it has ended already.
    pub(super) fn to_the_end<B: Body>(body: &B, permit: Option<Permit>) -> Self {
        permit.filter(|_| !body.is_end_stream()).map_or(Self::Nothing, Self::Slot)
    }

    /// A unary answer is one piece of data and its trailers, and all of it is there at once. What makes others wait, or has
    /// more data than that, is a stream.
    #[cfg(feature = "grpc")]
    #[inline]
    pub(super) fn settle<D, E>(&mut self, polled: &Poll<Option<Result<Frame<D>, E>>>) -> Result<(), Overloaded> {
        let Self::SlotOfUnary { has_data, .. } = self else { return Ok(()) };
        match polled {
            Poll::Pending => self.become_stream(),
            Poll::Ready(Some(Ok(frame))) if frame.is_data() && std::mem::replace(has_data, true) => {
                self.become_stream()
            }
            Poll::Ready(_) => Ok(()),
        }
    }

    #[cfg(feature = "grpc")]
    #[inline(never)]
    fn become_stream(&mut self) -> Result<(), Overloaded> {
        if let Self::SlotOfUnary { permit, .. } = std::mem::replace(self, Self::Nothing) {
            *self = Self::Stream(permit.into_stream()?);
        }
        Ok(())
    }
}
