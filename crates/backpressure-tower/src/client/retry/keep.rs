//! How a request is kept so that it can be sent again.

use std::time::Duration;

use super::why::NotRetried;

/// How a [`RetryLayer`](crate::RetryLayer) keeps requests, so that it can send them again.
///
/// The ways that there are: [`Cloned`], which is the default, [`CloneBy`] a function, and, for requests of HTTP whose bodies cannot
/// be cloned, `ReplayHttp` and `ReplayTonic`.
pub trait Keep<Req> {
    /// What the service gets.
    type Sent;
    /// What is kept of a request until its call is over.
    type Kept;

    /// How long the request itself says that its caller waits.
    fn wait_timeout(&self, request: &Req) -> Option<Duration> {
        let _ = request;
        None
    }

    /// What is kept, and what is sent first.
    fn keep(&self, request: Req) -> (Self::Kept, Self::Sent);

    /// Whether there could be another try. The one that is under way is not disturbed, in case that there is none.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    fn check(&self, kept: &Self::Kept) -> Result<(), NotRetried> {
        let _ = kept;
        Ok(())
    }

    /// What is sent for another try. The one before it is over, even if it still sends.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    fn again(&self, kept: &mut Self::Kept) -> Result<Self::Sent, NotRetried>;

    /// Tells the service how much time a try has, just before it is sent. Not called without a deadline.
    fn limit(&self, sent: &mut Self::Sent, left: Duration) {
        let _ = (sent, left);
    }
}

/// Says in an answer of type `T` why there was no other try, if such an answer has a place for that.
pub trait Note<T> {
    /// Says so.
    fn note(&self, answer: &mut T, why: NotRetried);
}

/// Requests are cloned for each try.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cloned;

impl<Req: Clone> Keep<Req> for Cloned {
    type Sent = Req;
    type Kept = Req;

    fn keep(&self, request: Req) -> (Req, Req) {
        let sent = request.clone();
        (request, sent)
    }

    fn again(&self, kept: &mut Req) -> Result<Req, NotRetried> {
        Ok(kept.clone())
    }
}

impl<T> Note<T> for Cloned {
    fn note(&self, _: &mut T, _: NotRetried) {}
}

/// Requests are copied by a function that may say no. See [`RetryLayer::clone_by`](crate::RetryLayer::clone_by).
#[derive(Debug, Clone, Copy)]
pub struct CloneBy<F>(pub(super) F);

impl<Req, F: Fn(&Req) -> Option<Req>> Keep<Req> for CloneBy<F> {
    type Sent = Req;
    type Kept = Option<Req>;

    fn keep(&self, request: Req) -> (Option<Req>, Req) {
        ((self.0)(&request), request)
    }

    fn check(&self, kept: &Option<Req>) -> Result<(), NotRetried> {
        kept.as_ref().map(|_| ()).ok_or(NotRetried::Unrepeatable)
    }

    fn again(&self, kept: &mut Option<Req>) -> Result<Req, NotRetried> {
        let copy = kept.as_ref().and_then(|kept| (self.0)(kept));
        copy.ok_or(NotRetried::Unrepeatable)
    }
}

impl<T, F> Note<T> for CloneBy<F> {
    fn note(&self, _: &mut T, _: NotRetried) {}
}
