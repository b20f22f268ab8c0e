//! A response body that holds its slot, or counts as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::hold::Hold;

pin_project! {
    /// A response body that occupies its slot of the limit until it ends, fails or is dropped, unless it is a *stream*. One that
    /// has ended already occupies none.
    ///
    /// A response is not over at its head: a server that lets the next request in while it still sends answers has no
    /// limit. The latency of the call, on the other hand, is measured at the head, or else a slow reader would look like a
    /// slow service.
    ///
    /// # Streams
    ///
    /// An answer that may go on for hours (server-sent events, a watch, server streaming) is no work in progress, and some of
    /// them would soon hold every slot there is. Such a stream gives its slot back and is one of the
    /// [`max_streams`](crate::ShedLayerBuilder::max_streams) until it ends, fails or is dropped. A stream is:
    ///
    /// * over HTTP, a body that does not know its length when the head is answered: whose
    ///   [`size_hint`](Body::size_hint) is not exact. The slot is free from then on, and one stream too many is answered with
    ///   503 instead. A body that is compressed on the fly, or reads a file, knows no length either. The body of an answer to
    ///   `HEAD`, or of a 204 or 304, is not sent and no stream.
    /// * over gRPC, where unary answers do not say how long they are, a body that was polled and had nothing to give yet, or
    ///   that gives a second piece of data. A unary answer of tonic does neither and holds its slot to its end. The head has
    ///   been sent by then, so one stream too many ends with the status `RESOURCE_EXHAUSTED` in its trailers.
    ///
    /// A connection that is upgraded, to a WebSocket say, is answered with a body that is empty: see
    /// [`ShedHandle::open_stream`](crate::ShedHandle::open_stream) to count it.
    #[derive(Debug)]
    pub struct HeldBody<B> {
        #[pin]
        body: Option<B>,
        hold: Hold,
    }
}

impl<B> HeldBody<B> {
    pub(super) const fn new(body: B, hold: Hold) -> Self {
        Self { body: Some(body), hold }
    }

    /// The body of a response that is all head.
    pub(crate) const fn empty() -> Self {
        Self { body: None, hold: Hold::Nothing }
    }
}

/// The empty body.
impl<B> Default for HeldBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B: Body> Body for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = body.as_mut().poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        if is_over {
            // In this order: the next request finds what this one has used.
            this.body.set(None);
            *this.hold = Hold::Nothing;
            return polled;
        }
        #[cfg(feature = "grpc")]
        if let Err(overloaded) = this.hold.settle(&polled) {
            this.body.set(None);
            return Poll::Ready(Some(Ok(Frame::trailers(super::grpc::trailers(&overloaded)))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use backpressure_core::limit::Level;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body_util::{Empty, Full};
    use proptest::prelude::*;

    use super::*;
    use crate::limiter::Limiter;

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    /// What a body does when it is polled.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Pending,
        Data,
        Trailers,
        Fail,
    }

    /// A body that knows how much is left of it, and, if it says so, when it has ended.
    #[derive(Debug, Clone)]
    struct Script {
        steps: VecDeque<Step>,
        knows_its_end: bool,
    }

    impl Body for Script {
        type Data = &'static [u8];
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<&'static [u8]>, &'static str>>> {
            let trailers = || HeaderMap::from_iter([(HeaderName::from_static("x"), HeaderValue::from_static("y"))]);
            match self.steps.pop_front() {
                None => Poll::Ready(None),
                Some(Step::Pending) => Poll::Pending,
                Some(Step::Data) => Poll::Ready(Some(Ok(Frame::data(b"data")))),
                Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers())))),
                Some(Step::Fail) => Poll::Ready(Some(Err("failed"))),
            }
        }

        fn is_end_stream(&self) -> bool {
            self.knows_its_end && self.steps.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.steps.iter().filter(|step| matches!(step, Step::Data)).count() as u64 * 4)
        }
    }

    fn held<B: Body>(body: B) -> (HeldBody<B>, Limiter) {
        let limiter = Limiter::fixed(1).unwrap();
        let permit = limiter.try_admit(Level::default()).unwrap();
        let hold = Hold::of(&body, Some(permit)).unwrap();
        (HeldBody::new(body, hold), limiter)
    }

    proptest! {
        /// Frame for frame what the inner body does, and the slot is taken for as long as there may be more.
        #[test]
        fn i1_it_changes_nothing_and_s2_frees_its_slot_at_the_end_failure_or_drop(
            steps in prop::collection::vec(
                prop_oneof![Just(Step::Pending), Just(Step::Data), Just(Step::Trailers), Just(Step::Fail)], 0..8),
            knows_its_end: bool,
            polls in 0usize..12,
        ) {
            let mut plain = Script { steps: steps.into(), knows_its_end };
            let (mut body, limiter) = held(plain.clone());
            let mut may_have_more = !plain.is_end_stream();
            for _ in 0..polls {
                prop_assert_eq!(limiter.in_flight(), usize::from(may_have_more));
                if !may_have_more {
                    plain.steps.clear();
                }
                prop_assert_eq!(body.is_end_stream(), plain.is_end_stream() || !may_have_more);
                prop_assert_eq!(body.size_hint().exact(), plain.size_hint().exact());
                let expected = Pin::new(&mut plain).poll_frame(&mut cx());
                let frame = Pin::new(&mut body).poll_frame(&mut cx());
                prop_assert_eq!(format!("{frame:?}"), format!("{expected:?}"));
                if let Poll::Ready(frame) = expected {
                    may_have_more &= matches!(frame, Some(Ok(_))) && !plain.is_end_stream();
                }
            }
            drop(body);
            prop_assert_eq!(limiter.in_flight(), 0);
        }
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn s4_a_unary_answer_in_grpc_holds_its_slot_and_what_waits_or_goes_on_is_a_stream() {
        let occupied = |steps: &[Step]| {
            let plain = Script { steps: steps.iter().copied().collect(), knows_its_end: false };
            let limiter = Limiter::fixed(1).unwrap();
            let hold = Hold::of_grpc(&plain, limiter.try_admit(Level::default()).ok());
            let mut body = HeldBody::new(plain, hold);
            let look = || (limiter.in_flight(), limiter.streams());
            assert_eq!(look(), (1, 0));
            let mut seen = Vec::new();
            for _ in steps {
                let _ = Pin::new(&mut body).poll_frame(&mut cx());
                seen.push(look());
            }
            assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx()), Poll::Ready(None)));
            assert_eq!(look(), (0, 0));
            seen
        };
        let (slot, stream, nothing) = ((1, 0), (0, 1), (0, 0));
        use Step::{Data, Fail, Pending, Trailers};
        assert_eq!(occupied(&[Data, Trailers]), [slot, slot]);
        assert_eq!(occupied(&[Trailers]), [slot]);
        assert_eq!(occupied(&[Pending, Data, Trailers]), [stream, stream, stream]);
        assert_eq!(occupied(&[Data, Pending, Trailers]), [slot, stream, stream]);
        assert_eq!(occupied(&[Data, Data, Data]), [slot, stream, stream]);
        assert_eq!(occupied(&[Data, Data, Fail]), [slot, stream, nothing]);
        assert_eq!(occupied(&[Fail]), [nothing]);
    }

    #[test]
    fn a_body_that_is_at_its_end_occupies_nothing() {
        let (body, limiter) = held(Empty::<&[u8]>::new());
        assert_eq!(limiter.in_flight(), 0);
        assert!(body.is_end_stream());
        let (body, limiter) = held(Full::new(&b"hello"[..]));
        assert_eq!((limiter.in_flight(), body.size_hint().exact()), (1, Some(5)));
    }

    #[test]
    fn the_empty_body_has_ended_before_it_begins() {
        let mut body = HeldBody::<Full<&[u8]>>::default();
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx()), Poll::Ready(None)));
    }
}
