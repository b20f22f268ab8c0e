//! Services: layers around one call, and batchers that make one call of many.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use tower_service::Service;

use crate::examine::{Subject, Wrongs, advance, examine, settle};
use crate::inner::{Desk, How, Inner, answer_to};
use crate::law::{D1, Law, S1, S2, S4, S8, T6, T9, W1, W3};
use crate::report::Report;
use crate::waking::{SPINNING, Watch};

type Answer = Pin<Box<dyn Future<Output = Result<u32, ()>>>>;

/// A service over a service: made anew for each schedule from an [`Inner`].
pub struct Services {
    make: Box<dyn Fn(Inner) -> Box<dyn Subjected>>,
    inner_limit: usize,
    limit: Option<usize>,
    sheds: bool,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    /// A service that answers each request as the inner one does. Its handles are clones.
    pub fn of<S>(make: impl Fn(Inner) -> S + 'static) -> Self
    where
        S: Service<u32, Response = u32> + Clone + 'static,
    {
        Self { make: Box::new(move |inner| Box::new(make(inner))), inner_limit: 2, limit: None, sheds: false }
    }

    /// The inner service is ready for so many calls at once. Default 2.
    #[must_use]
    pub const fn inner_limit(mut self, calls: usize) -> Self {
        self.inner_limit = calls;
        self
    }

    /// At most so many calls of it are in flight.
    #[must_use]
    pub const fn limit(mut self, calls: usize) -> Self {
        self.limit = Some(calls);
        self
    }

    /// It may refuse requests.
    #[must_use]
    pub const fn sheds(mut self) -> Self {
        self.sheds = true;
        self
    }

    /// Leads it through the schedules.
    pub fn examine(&self, name: &str) -> Report {
        examine(name, self)
    }
}

/// A service, whatever its type.
trait Subjected {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>>;
    fn call(&mut self, request: u32) -> Answer;
    fn boxed_clone(&self) -> Box<dyn Subjected>;
}

impl<S: Service<u32, Response = u32> + Clone + 'static> Subjected for S {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Service::poll_ready(self, cx).map_err(drop)
    }

    fn call(&mut self, request: u32) -> Answer {
        let answer = Service::call(self, request);
        Box::pin(async move { answer.await.map_err(drop) })
    }

    fn boxed_clone(&self) -> Box<dyn Subjected> {
        Box::new(self.clone())
    }
}

/// What may happen.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A new caller comes, with a handle of its own: it waits for readiness, then for its answer.
    Call,
    /// One of the callers polls.
    Poll(usize),
    /// With another waker.
    PollAnew(usize),
    /// One of the callers gives up.
    Leave(usize),
    /// A handle is polled once, and dropped uncalled.
    ReadyAndDrop,
    /// One of the open calls of the inner service is answered.
    Answer(usize, How),
    Advance(u64),
}

enum Caller {
    Waits(Box<dyn Subjected>),
    Called(Answer),
}

struct Run<'a> {
    wrongs: &'a Wrongs,
    desk: Desk,
    service: Box<dyn Subjected>,
    callers: Vec<(u32, Caller, Watch)>,
    next: u32,
    sheds: bool,
    /// Whether no handle is left.
    is_closed: bool,
}

impl Run<'_> {
    fn call(&mut self) {
        self.next += 1;
        self.callers.push((self.next, Caller::Waits(self.service.boxed_clone()), Watch::new(W1)));
        let _ = self.poll(self.callers.len() - 1, false);
    }

    /// Polls a caller, which goes on to its call as soon as it is ready. One that has its answer leaves.
    fn poll(&mut self, place: usize, anew: bool) -> Poll<()> {
        let (request, caller, watch) = &mut self.callers[place];
        if let Caller::Waits(service) = caller {
            match watch.poll(anew, self.wrongs, |cx| service.poll_ready(cx)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => *caller = Caller::Called(service.call(*request)),
                Poll::Ready(Err(())) => {
                    self.wrongs.add(S8, "poll_ready fails: the service is gone");
                    self.callers.remove(place);
                    return Poll::Ready(());
                }
            }
            watch.forget();
        }
        let Caller::Called(answer) = caller else { return Poll::Pending };
        let polled = watch.poll(anew, self.wrongs, |cx| {
            // A panic of its own call is the caller's.
            catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))).unwrap_or(Poll::Ready(Err(())))
        });
        let Poll::Ready(answer) = polled else { return Poll::Pending };
        let request = *request;
        self.callers.remove(place);
        self.judge(request, answer);
        Poll::Ready(())
    }

    fn judge(&self, request: u32, answer: Result<u32, ()>) {
        match answer {
            Ok(answer) => self.wrongs.unless(answer == answer_to(request), S1, || {
                format!("{request} is answered with {answer} instead of {}", answer_to(request))
            }),
            Err(()) if self.is_closed && !self.desk.look(|state| state.spoilt.contains(&request)) => {
                self.wrongs.add(T9, format!("{request} was called, and fails once the handles are gone"));
            }
            Err(()) => {
                let (seen, spoilt) =
                    self.desk.look(|state| (state.seen.contains(&request), state.spoilt.contains(&request)));
                let may = spoilt || (self.sheds && !seen);
                self.wrongs.unless(may, S8, || format!("{request} fails, though no call of its own did"));
            }
        }
    }

    /// Goes on as everybody is woken, with every call answered well, until nothing more happens.
    async fn go_on(&mut self) {
        let (mut in_a_row, mut idle) = (0, 0);
        for _ in 0..2_000 {
            settle().await;
            let due = self.callers.iter().position(|(.., watch)| watch.is_due());
            if let Some(place) = due {
                in_a_row = if self.poll(place, false).is_pending() { in_a_row + 1 } else { 0 };
                if in_a_row > SPINNING {
                    return self.wrongs.add(W3, "a caller is Pending and woken at once, again and again");
                }
            } else if !self.desk.answer(0, How::Well) {
                if idle == 20 {
                    break;
                }
                idle += 1;
                advance(Duration::from_millis(50)).await;
                continue;
            }
            idle = 0;
        }
    }

    fn expect_all_served(&mut self) {
        let waiting = self.callers.iter().position(|(_, caller, _)| matches!(caller, Caller::Waits(_)));
        if let Some(place) = waiting {
            let before = self.callers.len();
            let moved = self.poll(place, true).is_ready() || self.callers.len() < before;
            if moved {
                self.wrongs.add(W1, "a caller waits for ever: it could go on, and was not woken");
            } else {
                self.wrongs.add(S2, "a caller waits for ever: nothing is in flight, and it is never ready");
            }
        }
    }
}

impl Subject for Services {
    type Step = Step;

    fn laws(&self) -> Vec<Law> {
        let mut laws = vec![D1, S1, S2, S8, T6, T9, W1, W3];
        laws.extend(self.limit.map(|_| S4));
        laws
    }

    fn schedules(&self) -> BoxedStrategy<Vec<Step>> {
        let how = prop_oneof![4 => Just(How::Well), 1 => Just(How::Fail), 1 => Just(How::Panic), 1 => Just(How::Short)];
        let step = prop_oneof![
            5 => Just(Step::Call),
            3 => (0..5_usize).prop_map(Step::Poll),
            2 => (0..5_usize).prop_map(Step::PollAnew),
            1 => (0..5_usize).prop_map(Step::Leave),
            1 => Just(Step::ReadyAndDrop),
            3 => (0..3_usize, how).prop_map(|(call, how)| Step::Answer(call, how)),
            2 => (1..40_u64).prop_map(Step::Advance),
        ];
        prop::collection::vec(step, 0..24).boxed()
    }

    async fn run(&self, schedule: &[Step], wrongs: &Wrongs) {
        let (desk, inner) = Desk::new(self.inner_limit);
        let (service, callers) = ((self.make)(inner), Vec::new());
        let mut run = Run { wrongs, desk, service, callers, next: 0, sheds: self.sheds, is_closed: false };
        for step in schedule {
            let callers = run.callers.len();
            match *step {
                Step::Call => run.call(),
                Step::Poll(place) if callers > 0 => drop(run.poll(place % callers, false)),
                Step::PollAnew(place) if callers > 0 => drop(run.poll(place % callers, true)),
                Step::Leave(place) if callers > 0 => drop(run.callers.remove(place % callers)),
                Step::ReadyAndDrop => {
                    let mut clone = run.service.boxed_clone();
                    let _ = Watch::new(W1).poll(false, wrongs, |cx| clone.poll_ready(cx));
                }
                Step::Answer(place, how) => drop(run.desk.answer(place, how)),
                Step::Advance(ms) => advance(Duration::from_millis(ms)).await,
                Step::Poll(_) | Step::PollAnew(_) | Step::Leave(_) => {}
            }
            settle().await;
        }
        // Who still waits goes on while there are handles, and who has called when there are none.
        while run.callers.iter().any(|(_, caller, _)| matches!(caller, Caller::Waits(_))) {
            let before = run.callers.len();
            run.go_on().await;
            if run.callers.len() == before {
                break;
            }
        }
        run.expect_all_served();
        run.callers.retain(|(_, caller, _)| matches!(caller, Caller::Called(_)));
        run.service = Box::new(Gone);
        run.is_closed = true;
        run.go_on().await;
        let unanswered = run.callers.len();
        wrongs.unless(unanswered == 0, T9, || format!("{unanswered} callers are never answered"));
        run.callers.clear();
        settle().await;
        let (unready, peak) = run.desk.look(|state| (state.unready_calls, state.peak));
        wrongs.unless(unready == 0, D1, || format!("{unready} calls without readiness"));
        if let Some(limit) = self.limit {
            wrongs.unless(peak <= limit, S4, || format!("{peak} calls at once, {limit} may be"));
        }
        advance(Duration::from_millis(50)).await;
        wrongs.unless(!run.desk.is_held(), T6, || "its inner service is alive".into());
    }
}

/// In the place of a service that was dropped.
#[derive(Clone)]
struct Gone;

impl Service<u32> for Gone {
    type Response = u32;
    type Error = ();
    type Future = std::future::Ready<Result<u32, ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Err(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        std::future::ready(Err(()))
    }
}
