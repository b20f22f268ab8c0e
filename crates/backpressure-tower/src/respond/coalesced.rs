//! A body whose small pieces become frames of a useful size.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::{Coalescer, Filler};
use backpressure_rt::{Timer, now};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Most pieces taken in one poll.
const BUDGET: usize = 256;

pin_project! {
    /// Merges the small pieces of a body into frames, and keeps small frames few.
    ///
    /// A body that makes a frame of each event (server-sent events, a gRPC stream) is a danger over HTTP/2 when nobody reads it: the
    /// window counts bytes and stays open, the receiver counts small frames besides, and ends the connection with all its other calls when there
    /// are too many. This body merges what is ready into frames of whole pieces, up to its most bytes. Each piece, be it an event
    /// or some whole messages of gRPC, stays in one piece.
    ///
    /// A transport that asks gets what is there, with no delay, but for one case: frames below 256 bytes are paid for from a credit, a
    /// hundred at once and then some 31 a second. One that is too many waits for at most 32 ms, and for less the more comes
    /// meanwhile. [`Coalescer`] says exactly when, and why nobody can do without. [`small_frames`](Self::small_frames) changes
    /// the numbers; [`fill_with`](Self::fill_with) does away with the delay for formats that have bytes that say nothing. The end,
    /// trailers and errors never wait, and come after all data before them. HTTP/1.1 knows no such limit: under it
    /// `.small_frames(1, Duration::ZERO)` merges and never waits.
    ///
    /// It loses nothing. A feed that is to go on while its reader sleeps is given a lossy buffer before it becomes a body:
    /// `.backpressure(config).spawn()` of `backpressure-stream`.
    ///
    /// ```
    /// use backpressure_tower::CoalescedBody;
    /// use http::{Request, Response};
    /// use http_body_util::Full;
    /// use tower::{ServiceBuilder, service_fn};
    ///
    /// let server = ServiceBuilder::new()
    ///     .map_response(|response: Response<_>| response.map(|body| CoalescedBody::new(body, 16 * 1024)))
    ///     .service(service_fn(async |_: Request<()>| {
    ///         Ok::<_, std::convert::Infallible>(Response::new(Full::new(&b"hello"[..])))
    ///     }));
    /// # fn is_service<S: tower::Service<Request<()>>>(_: S) {}
    /// # is_service(server);
    /// ```
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with time enabled, if a small frame has to wait.
    #[derive(Debug)]
    pub struct CoalescedBody<B: Body> {
        #[pin]
        body: B,
        frames: Coalescer<Bytes>,
        // Trailers, or the error, for after the data.
        last: Option<Result<Frame<Bytes>, B::Error>>,
        has_ended: bool,
        timer: Timer,
    }
}

impl<B: Body> CoalescedBody<B> {
    /// Frames of at most so many bytes; a piece that is larger goes by itself. 16 KiB is what HTTP/2 takes in one frame. Fewer than
    /// 512 count as 512, unless small frames never wait.
    pub const fn new(body: B, bytes: usize) -> Self {
        Self { body, frames: Coalescer::new(bytes), last: None, has_ended: false, timer: Timer::new() }
    }

    /// How many frames below 256 bytes may go at once, and how long it takes until there may be one more; also the longest that a
    /// piece waits. A burst of 0 counts as 1; with an interval of zero no piece ever waits. The default is 100, and 32 ms.
    pub fn small_frames(mut self, burst: u32, every: Duration) -> Self {
        self.frames = self.frames.small_frames(burst, every);
        self
    }

    /// A small frame that would have to wait goes at once, filled up to 256 bytes with this. For
    /// [`SseComment`](Filler::SseComment) each piece has to be whole events, as with axum's `Sse`; gRPC has nothing to fill
    /// with. A body whose length is known is never filled up.
    pub fn fill_with(mut self, filler: Filler) -> Self {
        if self.body.size_hint().exact().is_none() {
            self.frames = self.frames.fill_with(filler);
        }
        self
    }
}

impl<B: Body> Body for CoalescedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let (mut left, mut is_pending) = (BUDGET, false);
        while left > 0 && !is_pending && !*this.has_ended && !this.frames.is_full() {
            match this.body.as_mut().poll_frame(cx) {
                Poll::Pending => is_pending = true,
                Poll::Ready(None) => *this.has_ended = true,
                Poll::Ready(Some(frame)) => match frame.map(|frame| frame.into_data()) {
                    Ok(Ok(mut data)) => drop(this.frames.offer(data.copy_to_bytes(data.remaining()))), // There is room.
                    Ok(Err(other)) => {
                        *this.last = Some(Ok(other.map_data(|mut data| data.copy_to_bytes(data.remaining()))))
                    }
                    Err(error) => *this.last = Some(Err(error)),
                },
            }
            *this.has_ended |= this.last.is_some() || this.body.is_end_stream();
            left -= 1;
        }
        if *this.has_ended {
            let data = this.frames.take_now().map(|data| Ok(Frame::data(data)));
            return Poll::Ready(data.or_else(|| this.last.take()));
        }
        let taken = if this.frames.is_empty() { Ok(None) } else { this.frames.take(now()) };
        match taken {
            Ok(Some(data)) => {
                this.timer.disarm();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Ok(None) if is_pending => {}
            Err(due) if is_pending => {
                if this.timer.poll(due, cx).is_ready() {
                    this.timer.disarm();
                    cx.waker().wake_by_ref();
                }
            }
            Ok(None) | Err(_) => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.last.is_none() && (self.has_ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let left = if self.has_ended { SizeHint::with_exact(0) } else { self.body.size_hint() };
        let held = self.frames.held() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(left.lower().saturating_add(held));
        let upper = left.upper().filter(|_| !self.frames.is_filled_up());
        if let Some(upper) = upper.and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::Waker;

    use futures_util::StreamExt;
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Pending,
        Data(Vec<u8>),
        Trailers,
        Fail,
    }

    /// A body that does as it is told, and knows how much is left.
    #[derive(Debug)]
    struct Script(VecDeque<Step>);

    impl Body for Script {
        type Data = VecDeque<u8>;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<VecDeque<u8>>, &'static str>>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(Step::Pending) => Poll::Pending,
                Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
                Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
                Some(Step::Fail) => Poll::Ready(Some(Err("failed"))),
            }
        }

        fn size_hint(&self) -> SizeHint {
            let bytes = |step: &Step| if let Step::Data(data) = step { data.len() as u64 } else { 0 };
            SizeHint::with_exact(self.0.iter().map(bytes).sum())
        }
    }

    fn body(steps: &[Step]) -> CoalescedBody<Script> {
        CoalescedBody::new(Script(steps.to_vec().into()), 8).small_frames(1, HOUR)
    }

    fn data(text: &str) -> Step {
        Step::Data(text.into())
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// What a frame is, in a word.
    fn poll(body: &mut CoalescedBody<Script>) -> String {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => "pending".into(),
            Poll::Ready(None) => "end".into(),
            Poll::Ready(Some(Err(error))) => error.into(),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => String::from_utf8(data.into()).unwrap(),
                Err(_) => "trailers".into(),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t3_t4_the_end_does_not_wait_and_comes_after_the_data() {
        for (last, word) in [(Step::Trailers, "trailers"), (Step::Fail, "failed")] {
            let mut body = body(&[data("a"), Step::Pending, data("b"), Step::Pending, data("c"), last]);
            assert_eq!(poll(&mut body), "a");
            assert_eq!(poll(&mut body), "pending", "one small frame too many");
            assert_eq!([(); 4].map(|()| poll(&mut body)), ["bc", word, "end", "end"]);
            assert!(body.is_end_stream());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn b2_a_small_frame_that_waits_goes_when_its_time_has_come() {
        let mut body = body(&[data("a"), Step::Pending, data("b"), Step::Pending, Step::Pending, Step::Pending]);
        assert_eq!((poll(&mut body), poll(&mut body)), ("a".into(), "pending".into()));
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn b2_b5_what_comes_while_a_frame_waits_makes_that_shorter() {
        let steps = [data("a"), Step::Pending, data("b"), Step::Pending];
        let mut body = body(&steps).small_frames(1, Duration::from_secs(256));
        assert_eq!((poll(&mut body), poll(&mut body)), ("a".into(), "pending".into()));
        body.body.0.extend([Step::Data(vec![b'c'; 155]), Step::Pending, Step::Pending, Step::Pending]);
        let start = tokio::time::Instant::now();
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap().len(), 156);
        assert_eq!(start.elapsed().as_secs(), 99, "1 of 100 was left");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_filled_up_never_waits_and_has_no_length() {
        let steps = [data("a"), Step::Pending, data("b"), Step::Pending];
        let known = CoalescedBody::new(Script(steps.to_vec().into()), 8).fill_with(Filler::SseComment);
        assert_eq!(known.size_hint().exact(), Some(2));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(0..1000).then(async |_| {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"data: a\n\n")))
        }));
        let mut body = pin!(CoalescedBody::new(body, 1024).small_frames(1, HOUR).fill_with(Filler::SseComment));
        let mut lengths = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            assert_eq!(body.size_hint().upper(), None);
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(
            (lengths.len(), lengths[0], lengths[999]),
            (1000, 9, 9),
            "the first has credit, the last needs none"
        );
        assert!(lengths[1..999].iter().all(|&length| length == 256));
    }

    proptest! {
        #[test]
        fn b6_i2_the_frames_together_are_the_data_and_the_length_is_known_throughout(
            pieces in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..12)), 0..100),
            most in 0usize..30,
        ) {
            let input = pieces.iter().flatten().flatten().copied().collect::<Vec<_>>();
            let steps = pieces.into_iter().map(|piece| piece.map_or(Step::Pending, Step::Data));
            let mut body = CoalescedBody::new(Script(steps.collect()), most).small_frames(1, Duration::ZERO);
            let mut output = Vec::new();
            loop {
                prop_assert_eq!(body.size_hint().exact(), Some((input.len() - output.len()) as u64));
                match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
                    Poll::Pending => {}
                    Poll::Ready(None) => break,
                    Poll::Ready(Some(frame)) => output.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                }
            }
            prop_assert!(body.is_end_stream());
            prop_assert_eq!(output, input);
        }
    }
}
