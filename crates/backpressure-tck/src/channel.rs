//! Channels: something that sends, and a stream of what was sent.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;
use proptest::prelude::*;

use crate::examine::{Subject, Wrongs, examine, settle};
use crate::law::{C2, D3, I1, Law, O2, O4, T1, T2, T5, W1, W2, W3, W4, X1};
use crate::report::Report;
use crate::waking::{SPINNING, Watch};

/// Sends one item: `Ok` once it is accepted, `Err` if it never will be.
pub type Sending = Pin<Box<dyn Future<Output = Result<(), ()>>>>;

type Receiving = Pin<Box<dyn Stream<Item = u32>>>;

/// Both ends of a channel.
pub struct Channel {
    send: Box<dyn Fn(u32) -> Sending>,
    receive: Receiving,
}

impl Channel {
    /// Each call of `send` is a producer of its own. When `send` and all that it made are gone, the channel is closed.
    pub fn new(send: impl Fn(u32) -> Sending + 'static, receive: impl Stream<Item = u32> + 'static) -> Self {
        Self { send: Box::new(send), receive: Box::pin(receive) }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

/// A channel: made anew for each schedule.
pub struct Channels {
    make: Box<dyn Fn() -> Channel>,
    bound: Option<usize>,
    loses: bool,
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Channels {
    /// A channel that is taken to lose nothing.
    pub fn of(make: impl Fn() -> Channel + 'static) -> Self {
        Self { make: Box::new(make), bound: None, loses: false }
    }

    /// At most so many items are accepted before they are received.
    #[must_use]
    pub const fn bound(mut self, items: usize) -> Self {
        self.bound = Some(items);
        self
    }

    /// It may drop items where it is full.
    #[must_use]
    pub const fn loses(mut self) -> Self {
        self.loses = true;
        self
    }

    /// Leads it through the schedules.
    pub fn examine(&self, name: &str) -> Report {
        examine(name, self)
    }
}

/// What may happen.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A new producer begins to send the next item.
    Send,
    /// One of the sends that are pending is polled.
    Poll(usize),
    /// With another waker.
    PollAnew(usize),
    /// One of the sends that are pending is dropped.
    Drop(usize),
    Receive,
    ReceiveAnew,
}

struct Send {
    item: u32,
    future: Sending,
    watch: Watch,
    /// Polls that were Pending since anything else happened.
    in_a_row: usize,
}

struct Run<'a> {
    wrongs: &'a Wrongs,
    channel: Channel,
    receiver: Watch,
    pending: Vec<Send>,
    next: u32,
    accepted: BTreeSet<u32>,
    dropped: BTreeSet<u32>,
    received: Vec<u32>,
    over: bool,
}

impl Run<'_> {
    fn send(&mut self) {
        self.next += 1;
        let (item, future) = (self.next, (self.channel.send)(self.next));
        self.pending.push(Send { item, future, watch: Watch::new(W1), in_a_row: 0 });
        let _ = self.poll(self.pending.len() - 1, false);
    }

    /// Polls a send. Those that began before it are served before it: once it is accepted, so are they.
    fn poll(&mut self, place: usize, anew: bool) -> Poll<Result<(), ()>> {
        let is_alone = self.pending.len() == 1;
        let Send { item, future, watch, in_a_row } = &mut self.pending[place];
        if !is_alone {
            // It may have found room that another was woken for: that is a matter of whose turn it was.
            watch.forgive();
        }
        let answer = watch.poll(anew, self.wrongs, |cx| future.as_mut().poll(cx));
        let Poll::Ready(answer) = answer else {
            *in_a_row += 1;
            return Poll::Pending;
        };
        let item = *item;
        self.pending.remove(place);
        if answer.is_ok() {
            self.accepted.insert(item);
            let before: Vec<u32> = self.pending[..place].iter().map(|send| send.item).collect();
            for earlier in before {
                let at = self.pending.iter().position(|send| send.item == earlier);
                let waits = at.is_some_and(|at| self.poll(at, false).is_pending());
                self.wrongs.unless(!waits, O4, || format!("{item} is accepted while {earlier} waits"));
            }
        }
        Poll::Ready(answer)
    }

    fn receive(&mut self, anew: bool) -> Poll<()> {
        let receive = &mut self.channel.receive;
        let answer = self.receiver.poll(anew, self.wrongs, |cx| receive.as_mut().poll_next(cx));
        self.take(answer)
    }

    fn take(&mut self, answer: Poll<Option<u32>>) -> Poll<()> {
        match answer {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => self.over = true,
            Poll::Ready(Some(item)) => {
                self.wrongs.unless(!self.over, T2, || format!("{item} after None"));
                self.received.push(item);
            }
        }
        Poll::Ready(())
    }

    fn look(&self, bound: usize) {
        let received: BTreeSet<u32> = self.received.iter().copied().collect();
        let held = self.accepted.difference(&received).count();
        self.wrongs.unless(held <= bound, D3, || format!("{held} are accepted and not received, {bound} may be"));
    }

    /// Goes on as everybody is woken, until nothing more happens.
    async fn go_on(&mut self) {
        for _ in 0..1_000 {
            settle().await;
            let due = self.pending.iter().position(|send| send.watch.is_due());
            if let Some(place) = due {
                if self.poll(place, false).is_pending() && self.pending[place].in_a_row > SPINNING {
                    self.wrongs.add(W3, "a send is Pending and woken at once, again and again");
                    break;
                }
                continue;
            }
            if self.over || !self.receiver.is_due() {
                break;
            }
            let receive = &mut self.channel.receive;
            let answer = self.receiver.rest(self.wrongs, |cx| receive.as_mut().poll_next(cx)).await;
            let _ = self.take(answer);
            self.pending.iter_mut().for_each(|send| send.in_a_row = 0);
        }
    }

    /// Nobody who was not woken could have gone on.
    fn expect_rest(&mut self, law: Law) {
        let cancelled = !self.dropped.is_empty();
        for send in &mut self.pending {
            send.watch = Watch::new(law);
        }
        while !self.pending.is_empty() {
            if self.poll(0, true).is_pending() {
                self.pending.remove(0);
                continue;
            }
            let law = if cancelled && law == W2 { X1 } else { law };
            self.wrongs.add(law, "a send that nobody woke is Ready");
        }
    }

    fn judge(&self, loses: bool) {
        let (wrongs, received) = (self.wrongs, &self.received);
        wrongs.unless(self.over, T1, || "all senders are gone, and the stream does not end".into());
        let once: BTreeSet<u32> = received.iter().copied().collect();
        let known = once.iter().all(|item| self.accepted.contains(item) || self.dropped.contains(item));
        wrongs.unless(once.len() == received.len() && known, C2, || format!("{received:?} came"));
        if loses {
            let ascends = received.windows(2).all(|pair| pair[0] < pair[1]);
            wrongs.unless(ascends, O2, || format!("{received:?} came"));
        } else {
            let lost: Vec<_> = self.accepted.difference(&once).collect();
            wrongs.unless(lost.is_empty(), I1, || format!("{lost:?} were accepted and did not come"));
        }
    }
}

impl Subject for Channels {
    type Step = Step;

    fn laws(&self) -> Vec<Law> {
        let mut laws = vec![C2, T1, T2, T5, W1, W2, W3, W4, X1];
        laws.extend(self.bound.map(|_| D3));
        laws.extend(if self.loses { vec![O2] } else { vec![I1, O4] });
        laws
    }

    fn schedules(&self) -> BoxedStrategy<Vec<Step>> {
        let index = || 0..5_usize;
        let step = prop_oneof![
            5 => Just(Step::Send),
            2 => index().prop_map(Step::Poll),
            2 => index().prop_map(Step::PollAnew),
            1 => index().prop_map(Step::Drop),
            3 => Just(Step::Receive),
            2 => Just(Step::ReceiveAnew),
        ];
        prop::collection::vec(step, 0..24).boxed()
    }

    async fn run(&self, schedule: &[Step], wrongs: &Wrongs) {
        let mut run = Run {
            wrongs,
            channel: (self.make)(),
            receiver: Watch::new(W1),
            pending: Vec::new(),
            next: 0,
            accepted: BTreeSet::new(),
            dropped: BTreeSet::new(),
            received: Vec::new(),
            over: false,
        };
        for step in schedule {
            let place = |index: &usize| index % run.pending.len();
            match step {
                Step::Send => run.send(),
                Step::Receive => drop(run.receive(false)),
                Step::ReceiveAnew => drop(run.receive(true)),
                _ if run.pending.is_empty() => {}
                Step::Poll(index) => drop(run.poll(place(index), false)),
                Step::PollAnew(index) => drop(run.poll(place(index), true)),
                Step::Drop(index) => {
                    let send = run.pending.remove(place(index));
                    run.dropped.insert(send.item);
                }
            }
            settle().await;
            if let Some(bound) = self.bound {
                run.look(bound);
            }
        }
        run.go_on().await;
        run.expect_rest(W2);
        if !run.over {
            let _ = run.receive(true);
        }
        let waited = run.receiver.is_pending();
        run.channel.send = Box::new(|_| Box::pin(std::future::ready(Err(()))));
        settle().await;
        wrongs
            .unless(!waited || run.receiver.is_due(), W4, || "the last sender goes, and the receiver sleeps on".into());
        run.receiver.forget();
        for _ in 0..100 {
            if run.over || run.receive(false).is_pending() {
                break;
            }
        }
        if run.over {
            let _ = run.receive(false);
        }
        run.judge(self.loses);
    }

    async fn probes(&self, wrongs: &Wrongs) {
        let channel = (self.make)();
        let mut sends: Vec<_> =
            (1..=self.bound.unwrap_or(8) as u32 + 3).map(|item| ((channel.send)(item), Watch::new(W4))).collect();
        sends.retain_mut(|(send, watch)| watch.poll(false, wrongs, |cx| send.as_mut().poll(cx)).is_pending());
        drop(channel.receive);
        settle().await;
        for (send, watch) in &mut sends {
            let answer = watch.poll(false, wrongs, |cx| send.as_mut().poll(cx));
            wrongs.unless(answer.is_ready(), W4, || "the receiver goes, and a send waits on".into());
        }
        let mut late = (channel.send)(0);
        let answer = Watch::new(T5).poll(false, wrongs, |cx| late.as_mut().poll(cx));
        wrongs.unless(answer == Poll::Ready(Err(())), T5, || format!("without a receiver, a send is {answer:?}"));
    }
}
