//! The handle.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backpressure_core::Gauge;
use tower_service::Service;

use super::answers::Answers;
use super::clock;
use super::desk::{Entered, Reserved};
use super::doors::{Left, Trace};
use super::drain::BatchDrain;
use super::error::BatchError;
use super::future::BatchFuture;
use super::lanes::Ticket;
use super::layer::BatchLayer;
use super::shared::Shared;
use super::worker::BatchWorker;

/// Single calls, joined into batches: made by [`BatchLayer`], or together with its worker by [`pair`](Self::pair).
///
/// Clones are cheap and share one batcher. A clone that is ready holds one of its places until it is called or dropped.
///
/// * `poll_ready` is ready when there is a place: when fewer than [`capacity`](super::BatchLayerBuilder::capacity) calls
///   wait for their batch. Those who wait for a place get one first come, first served. An error means that the batcher
///   has ended; it is never a matter of load.
/// * `call` puts the request into the queue at once. Requests of one handle are sent in their order; where several threads
///   call in the same moment, those of different handles may change places. The response future need not be polled for a
///   request to be sent.
/// * A caller that is alone [leads](super::BatchWorker::led_by_callers): it calls the inner service in `call`, and polls what
///   it gets with the response future, so that it waits no longer than without a batcher. Where several threads call at once,
///   a caller may do so for others that call on its thread.
///
/// # Cancel safety
///
/// Dropping the response future takes the request back: one that has not been sent never is, and its place is free at once.
/// Of one that was sent the answer is thrown away; when nobody is left of a batch, the inner call is dropped.
///
/// When the last handle is dropped, what is queued is sent without waiting for anything more, and answered.
pub struct Batch<Req, Resp, E> {
    pub(super) shared: Arc<Shared<Req, Resp, E>>,
    place: Place,
    /// Since when it is in line, if it is.
    since: Option<Instant>,
    /// Of its last call that was left at a door.
    trace: Option<Trace>,
}

/// Where a handle is on its way to a call.
#[derive(Debug)]
enum Place {
    Outside,
    InLine(usize),
    /// With the waker of the task, which is likely to wait for the answer, too.
    Reserved(Waker),
}

impl<Req, Resp, E> Batch<Req, Resp, E> {
    /// A handle, and the worker that has to be polled for anything to happen: spawn it, or give it to an executor of your
    /// own. [`BatchLayer`] spawns it by itself.
    ///
    /// When the worker is dropped, calls that wait are answered [`Closed`](BatchError::Closed).
    pub fn pair<S>(inner: S, layer: &BatchLayer<Req, Resp>) -> (Self, BatchWorker<S, Req, Resp>)
    where
        S: Service<Vec<Req>, Error = E>,
        S::Response: Answers<Resp, E>,
    {
        let shared = Arc::new(Shared::new(layer));
        let worker = BatchWorker::new(Arc::clone(&shared), inner, layer);
        (Self { shared, place: Place::Outside, since: None, trace: None }, worker)
    }

    /// How many calls wait for their batch, how many are with the inner service, and what became of the others. A
    /// `ShedLayer` in front sheds by its state.
    ///
    /// While several threads call at once and the worker has been woken, up to 64 calls a thread may not be counted yet, as
    /// long as the state does not depend on them. Once the worker has had its turn, they are.
    pub fn gauge(&self) -> Gauge {
        self.shared.gauge.clone()
    }

    /// Ends the batcher: takes no more calls, sends what is queued without lingering, and waits until every call is
    /// answered, for `within` at most. After that, calls without an answer are answered [`Closed`](BatchError::Closed), and
    /// what the inner service has in hand is dropped when the worker runs next, which may be after this has returned.
    /// [`Duration::MAX`] waits for ever.
    ///
    /// Several drains may run at once; the earliest deadline counts.
    ///
    /// # Cancel safety
    ///
    /// The drain begins with this call. Dropping the future lifts the deadline and nothing else.
    ///
    /// # Panics
    ///
    /// When first polled outside of a tokio runtime with time enabled.
    pub fn drain(&self, within: Duration) -> BatchDrain<Req, Resp, E> {
        BatchDrain::new(Arc::clone(&self.shared), within)
    }

    /// Stands there from now on. Those in line are counted, and how long they are in line is timed.
    fn stand(&mut self, place: Place) -> Place {
        let before = std::mem::replace(&mut self.place, place);
        match (&before, &self.place) {
            (Place::InLine(_), Place::InLine(_)) => {}
            (Place::InLine(_), _) => self.end_wait(),
            (_, Place::InLine(_)) => {
                self.since = Some(clock::now());
                self.shared.reporter.producer_waits();
            }
            _ => {}
        }
        before
    }

    /// It is in line no more, in vain or not.
    fn end_wait(&mut self) {
        let now = clock::now();
        let waited = self.since.take().map(|since| now.saturating_duration_since(since));
        self.shared.reporter.producer_waited();
        self.shared.reporter.producer_wait(now, waited.unwrap_or_default());
    }

    /// Leaves the line, or gives the place back.
    fn step_out(&mut self) {
        let (after, waker) = match self.stand(Place::Outside) {
            Place::Outside => return,
            Place::InLine(key) => self.shared.lock().leave(key),
            Place::Reserved(waker) => {
                drop(waker);
                return self.shared.give_back();
            }
        };
        drop(waker);
        after.carry_out(&self.shared.reporter);
    }
}

impl<Req, Resp, E> Service<Req> for Batch<Req, Resp, E> {
    type Response = Resp;
    type Error = BatchError<E>;
    type Future = BatchFuture<Req, Resp, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut waker = None;
        loop {
            let key = match &self.place {
                Place::Reserved(_) => return Poll::Ready(Ok(())),
                Place::InLine(key) => Some(*key),
                Place::Outside if self.shared.try_take_place() => {
                    self.stand(Place::Reserved(cx.waker().clone()));
                    return Poll::Ready(Ok(()));
                }
                Place::Outside => None,
            };
            let reserved = self.shared.lock().reserve(key, waker.take(), cx.waker(), &self.shared.doors);
            match reserved {
                Reserved::Ready => {
                    self.stand(Place::Reserved(cx.waker().clone()));
                    return Poll::Ready(Ok(()));
                }
                Reserved::NeedsWaker => waker = Some(cx.waker().clone()),
                Reserved::Waiting { key, .. } => {
                    self.stand(Place::InLine(key));
                    return Poll::Pending;
                }
                Reserved::Refused(error) => {
                    self.step_out();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        if !matches!(self.place, Place::Reserved(_)) {
            self.shared.reporter.rejected();
            return BatchFuture::refused(BatchError::NotReady);
        }
        let ticket = self.shared.ticket(request);
        let Place::Reserved(waker) = std::mem::replace(&mut self.place, Place::Outside) else {
            return BatchFuture::refused(BatchError::NotReady);
        };
        let doors = &self.shared.doors;
        match doors.mine().filter(|&door| doors.is_open(door, self.trace)) {
            None => self.enter(ticket, waker),
            Some(door) => match doors.leave(door, &mut self.trace, ticket, waker) {
                Ok(Left { page, call, pledge, is_last }) => {
                    if is_last {
                        self.shared.lead_crowd(door, &page, call);
                    }
                    BatchFuture::waiting(page, call, pledge, false)
                }
                Err((ticket, waker)) => self.enter(ticket, waker),
            },
        }
    }
}

impl<Req, Resp, E> Batch<Req, Resp, E> {
    /// Makes a call at the desk.
    #[inline]
    fn enter(&self, ticket: Ticket<Req>, waker: Waker) -> BatchFuture<Req, Resp, E> {
        let mut desk = self.shared.lock_for_call();
        if let Some(error) = desk.refusal() {
            drop(desk);
            return self.refuse(error);
        }
        let Entered { page, call, pledge, is_felt } = desk.enter(ticket, waker, &self.shared);
        let leads = is_felt && self.shared.follow(desk, &page, call);
        BatchFuture::waiting(page, call, pledge, leads)
    }

    /// Makes no call, and gives the place back.
    #[cold]
    fn refuse(&self, error: BatchError<E>) -> BatchFuture<Req, Resp, E> {
        self.shared.give_back();
        self.shared.reporter.rejected();
        BatchFuture::refused(error)
    }
}

/// A clone has no place: it has to become ready by itself.
impl<Req, Resp, E> Clone for Batch<Req, Resp, E> {
    fn clone(&self) -> Self {
        self.shared.attach();
        Self { shared: Arc::clone(&self.shared), place: Place::Outside, since: None, trace: None }
    }
}

impl<Req, Resp, E> Drop for Batch<Req, Resp, E> {
    fn drop(&mut self) {
        self.step_out();
        self.shared.detach();
    }
}

impl<Req, Resp, E> fmt::Debug for Batch<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("gauge", &self.shared.gauge).field("place", &self.place).finish()
    }
}
