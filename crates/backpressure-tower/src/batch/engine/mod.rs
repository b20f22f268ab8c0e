//! What a batcher does: hears of calls, sends batches, hands out answers. Whoever has it runs it.

mod departing;
mod landing;
mod run;

pub(super) use run::{Led, Run};

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use backpressure_core::{BatchSizer, DropReason, FlushPacer, Relay, wake_all};
use tower_service::Service;

use super::answers::Answers;
use super::batches::Batches;
use super::builder::Hooks;
use super::clock;
use super::desk::{Answer, Appetite, News};
use super::error::BatchError;
use super::flights::{Flights, Panic};
use super::gate::Gate;
use super::keys::Sort;
use super::lanes::{Lanes, Limits};
use super::layer::BatchLayer;
use super::page::{Directory, page_of};
use super::shared::Shared;
use super::timer::Timer;

/// Rounds in one poll. After them other tasks have their turn.
const TURNS: usize = 64;

/// The inner service, and everything that is known of the calls that are on their way to it and back.
pub(super) struct Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
{
    shared: Arc<Shared<Req, Resp, S::Error>>,
    service: S,
    /// Whether the service is ready and has not been called since.
    readied: bool,
    /// Whether it was asked for readiness since it was last called: it may hold, or stand in line for, what others need.
    asked: bool,
    pristine: Option<Pristine<S>>,
    flights: Flights<S::Future>,
    lanes: Lanes<Req>,
    sort: Option<Box<dyn Sort<Req>>>,
    /// The lane of all calls, if there is one and they are not sorted.
    lane: Option<usize>,
    batches: Batches<Req>,
    gate: Gate,
    pacer: Option<FlushPacer>,
    sizer: Option<BatchSizer>,
    hooks: Hooks<Req, Resp>,
    max_items: usize,
    max_weight: Option<usize>,
    linger: Duration,
    lingers: bool,
    when_idle: bool,
    /// Whether calls are sorted into lanes. If not, which is the usual case, batches leave straight from the inbox.
    sorted: bool,
    /// Whether every arrival is of interest at once, while batches can leave.
    curious: bool,
    /// Whether the batch that leaves next has been through the scheduler, so that others could join.
    travelled: bool,
    /// Whether a caller runs it for those at its door: what lies at others is theirs, and it wakes whoever is answered.
    is_for_a_door: bool,
    /// Whether the last batch was of one call: then the next does not wait for others to join.
    lonely: bool,
    timer: Timer,
    news: News<Req, Resp, S::Error>,
    /// Where calls are answered that are here.
    pages: Directory<Req, Resp, S::Error>,
    /// Answers that have not been handed out.
    answers: Vec<(usize, Answer<Resp, S::Error>)>,
    /// Calls that got theirs, of those.
    answered: Vec<usize>,
    /// Room for the calls of a batch.
    spare: Vec<usize>,
    wakers: Vec<Waker>,
}

/// A service that was never asked for anything, and how it is copied.
struct Pristine<S> {
    service: S,
    copy: fn(&S) -> S,
}

/// What a step came to.
enum Step {
    Again,
    /// Others first.
    Yield,
    /// No batch is due.
    Idle,
    /// The inner service cannot take another batch.
    Busy,
    Over,
}

impl<S, Req, Resp> Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    pub(super) fn new(shared: Arc<Shared<Req, Resp, S::Error>>, service: S, layer: &BatchLayer<Req, Resp>) -> Self {
        let (settings, hooks) = (&layer.settings, layer.hooks.clone());
        let (pacer, sizer) = (settings.pacer.clone(), settings.sizer.clone());
        let limits = Limits {
            max_items: sizer.as_ref().map_or(settings.batch.max_items(), BatchSizer::limit),
            max_weight: settings.batch.max_weight(),
            linger: pacer.as_ref().map_or(settings.batch.linger(), FlushPacer::interval),
            quiet: settings.batch.quiet().filter(|_| settings.lingers()),
            max_lanes: settings.max_keys,
        };
        let gate = match &hooks.limit {
            Some(make) => Gate::adaptive(make(), clock::now()),
            None => Gate::Fixed(settings.concurrency),
        };
        shared.reporter.paced(limits.linger, limits.max_items);
        Self {
            shared,
            service,
            readied: false,
            asked: false,
            pristine: None,
            flights: Flights::new(),
            lanes: Lanes::new(limits),
            sort: hooks.sorting.as_ref().map(|make| make()),
            lane: None,
            batches: Batches::new(),
            gate,
            pacer,
            sizer,
            max_items: limits.max_items,
            max_weight: limits.max_weight,
            linger: limits.linger,
            lingers: settings.lingers(),
            when_idle: settings.when_idle,
            sorted: settings.lingers() || hooks.sorting.is_some() || hooks.deadline.is_some(),
            curious: hooks.sorting.is_some() || hooks.deadline.is_some() || limits.quiet.is_some(),
            hooks,
            travelled: false,
            is_for_a_door: false,
            lonely: false,
            timer: Timer::default(),
            news: News::default(),
            pages: Directory::new(),
            answers: Vec::new(),
            answered: Vec::new(),
            spare: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// From now on the inner service is replaced by a fresh clone when it was asked for readiness that nobody is left to use.
    pub(super) fn release(&mut self)
    where
        S: Clone,
    {
        self.pristine = Some(Pristine { service: self.service.clone(), copy: S::clone });
    }

    /// Nobody is left to be called for.
    fn release_readiness(&mut self) {
        if !self.asked {
            return;
        }
        if let Some(Pristine { service, copy }) = &self.pristine {
            if let Ok(fresh) = guarded(|| copy(service)) {
                (self.service, self.readied, self.asked) = (fresh, false, false);
            }
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        let now = clock::now();
        if !self.hear(now) {
            return Step::Over;
        }
        if let Some((batch, outcome)) = self.flights.poll_next() {
            self.land(batch, outcome);
            return Step::Again;
        }
        self.expire(now);
        self.depart(now, cx)
    }

    /// Learns of calls that came and callers that went. False if everything is over.
    fn hear(&mut self, now: Instant) -> bool {
        let mut desk = self.shared.lock_inside();
        if !self.is_for_a_door {
            desk.look_around(&self.shared);
        }
        let goes_on = desk.news(&mut self.news, self.sorted);
        drop(desk);
        if mem::take(&mut self.news.changed) {
            self.shared.reporter.notify();
        }
        if !goes_on || (self.news.ending && self.news.idle) {
            return false;
        }
        while let Some(call) = self.news.gone.pop() {
            if let Some((_, emptied)) = self.lanes.leave(call) {
                self.close(emptied);
            } else if let Some((batch, _)) = self.batches.leave(call) {
                if self.flights.abort(batch) {
                    self.gate.land(now, None, self.flights.len());
                }
            }
        }
        if self.news.idle {
            self.pages.forget();
        }
        self.pages.learn(self.news.pages.drain(..));
        let since = self.news.since.unwrap_or(now);
        let mut arrivals = mem::take(&mut self.news.arrivals);
        for (call, ticket) in arrivals.drain(..) {
            let Some(sort) = &mut self.sort else {
                self.lane = Some(self.lanes.arrive(self.lane, call, ticket, since, now));
                continue;
            };
            let Ok(lane) = guarded(|| sort.find(&ticket.request)) else {
                self.answers.push((call, Err(BatchError::Panicked)));
                continue;
            };
            let found = self.lanes.arrive(lane, call, ticket, since, now);
            if lane.is_none() {
                sort.open(found);
            }
        }
        self.news.arrivals = arrivals;
        if self.news.ending {
            self.lanes.end();
        }
        self.answer(Some(DropReason::Failed));
        true
    }

    /// Nobody is left in this lane.
    fn close(&mut self, lane: Option<usize>) {
        match (lane, &mut self.sort) {
            (Some(lane), Some(sort)) => sort.close(lane),
            (Some(_), None) => self.lane = None,
            (None, _) => {}
        }
    }

    /// Refuses what cannot be answered in time.
    fn expire(&mut self, now: Instant) {
        while let Some(call) = self.lanes.expired(now) {
            let Some((_, emptied)) = self.lanes.leave(call) else { break };
            self.close(emptied);
            self.answers.push((call, Err(BatchError::DeadlineExceeded)));
        }
        self.answer(Some(DropReason::Expired));
    }

    /// Hands out the answers: to calls that were sent or, with a reason, to calls that were not.
    fn answer(&mut self, unsent: Option<DropReason>) {
        if self.answers.is_empty() {
            return;
        }
        let (mut failed, mut open) = (0, None);
        for (call, place) in &mut self.answers {
            if open.as_ref().is_none_or(|(number, _)| *number != page_of(*call)) {
                drop(open);
                open = self.pages.of(*call).map(|page| (page_of(*call), page.lock()));
            }
            let is_error = place.is_err();
            if open.as_mut().is_some_and(|(_, seats)| seats.put(*call, place)) {
                self.answered.push(*call);
                failed += usize::from(is_error);
            }
        }
        drop(open);
        let changed = self.shared.lock_inside().land(&self.answered, failed, unsent, &mut self.wakers);
        self.answered.clear();
        self.answers.clear();
        let mut relay = Relay::new();
        if changed {
            relay.call(|| self.shared.reporter.notify());
        }
        if !self.is_for_a_door {
            relay.call(|| wake_all(self.wakers.drain(..)));
        }
        relay.resume();
    }

    /// Waits for something to happen. False if it has happened already.
    fn rest(&mut self, is_idle: bool, cx: &mut Context<'_>) -> bool {
        let appetite = if is_idle {
            let (calls, weight) = self.lanes.appetite();
            if self.curious { Appetite::ANY } else { Appetite { calls, weight } }
        } else if self.hooks.deadline.is_some() {
            Appetite::ANY
        } else {
            Appetite::NONE
        };
        let leave = is_idle && self.lonely && self.flights.len() == 0 && self.is_eager();
        let mut waker = Some(cx.waker().clone());
        let parked = self.shared.lock().park(appetite, leave, self.news.ending, &self.shared.doors, &mut waker);
        drop(waker);
        if !parked {
            return false;
        }
        match self.lanes.poll_timeout() {
            None => self.timer.disarm(),
            Some(deadline) if self.timer.poll(deadline, cx).is_ready() => return false,
            Some(_) => {}
        }
        true
    }
}

/// Calls into the user's code.
fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(call))
}

/// Nobody is answered any more.
impl<S: Service<Vec<Req>>, Req, Resp> Drop for Engine<S, Req, Resp> {
    fn drop(&mut self) {
        self.shared.end(None, DropReason::Closed);
    }
}

impl<S: Service<Vec<Req>>, Req, Resp> fmt::Debug for Engine<S, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("in_flight", &self.flights.len()).finish_non_exhaustive()
    }
}
