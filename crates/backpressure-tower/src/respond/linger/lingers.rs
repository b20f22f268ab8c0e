//! The ways to treat a shed request's body.

use std::convert::Infallible;
use std::task::{Context, Poll, ready};

use http::header::EXPECT;
use http::{Request, Version};
use http_body::Body;

use super::bounds::{Linger, NoLinger};
use super::rest::Rest;
use crate::shed::Lingering;

/// What is done with requests that are shed: [`Linger`] or [`NoLinger`].
pub trait Lingers<A>: sealed::Sealed {
    #[doc(hidden)]
    type Rest;

    /// What is to be read of a request that is shed.
    #[doc(hidden)]
    fn keep(&self, request: Request<A>, lingering: &Lingering) -> Option<Self::Rest>;

    /// Ready when it can be answered.
    #[doc(hidden)]
    fn poll_answer(rest: &mut Option<Self::Rest>, cx: &mut Context<'_>) -> Poll<()>;
}

impl<A: Body + Send + 'static> Lingers<A> for Linger {
    type Rest = Rest<A>;

    #[inline]
    fn keep(&self, request: Request<A>, lingering: &Lingering) -> Option<Rest<A>> {
        if request.body().is_end_stream() || request.version() > Version::HTTP_11 {
            return None;
        }
        let is_sent_regardless = !request.headers().contains_key(EXPECT);
        is_sent_regardless.then(|| Rest::new(request.into_body(), *self, lingering.clone()))
    }

    #[inline]
    fn poll_answer(slot: &mut Option<Rest<A>>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = slot else { return Poll::Ready(()) };
        let has_more = ready!(rest.poll_answer(cx));
        if let Some(rest) = slot.take().filter(|_| has_more) {
            rest.read_on();
        }
        Poll::Ready(())
    }
}

impl<A> Lingers<A> for NoLinger {
    type Rest = Infallible;

    #[inline]
    fn keep(&self, _: Request<A>, _: &Lingering) -> Option<Infallible> {
        None
    }

    #[inline]
    fn poll_answer(_: &mut Option<Infallible>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Linger {}
    impl Sealed for super::NoLinger {}
}
