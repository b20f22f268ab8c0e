//! What an engine has to be able to do. Nothing here knows NATS: another engine implements [`Engine`], and has
//! [`PullSource`](crate::PullSource), [`Delivery`](crate::Delivery) and [`AckAfter`](crate::AckAfter) with all that they promise.
//!
//! The decisions (how much to ask for, which leases to renew, what becomes of an answer) are made by a state machine that is told
//! what happened and the time. The engine carries them out, in order.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::config::ConsumerRules;

/// A connection to a queue that delivers at least once, and waits for an answer to each delivery for a bounded time.
pub trait Engine: Send + 'static {
    /// A message. Those who hold it share it.
    type Item: Send + Sync + 'static;
    /// How a delivery is named in an answer.
    type Key: Clone + Send + 'static;

    /// Waits until something happens, and appends it to `events`, with what has happened besides: at most `most` events.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has taken nothing.
    fn receive(
        &mut self,
        events: &mut Vec<Event<Self::Item, Self::Key>>,
        most: usize,
    ) -> impl Future<Output = ()> + Send;

    /// Carries a command out, or queues it behind those that were given before it.
    ///
    /// # Errors
    ///
    /// [`Disconnected`] if nothing will ever be carried out any more.
    fn perform(&mut self, command: Command<Self::Key>) -> impl Future<Output = Result<(), Disconnected>> + Send;

    /// Waits until the server has what was queued.
    fn flush(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether what is sent now goes out now. A renewal that waits in a queue would prolong the lease of somebody else.
    fn is_connected(&self) -> bool;
}

/// The connection is closed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected;

/// What an engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<K> {
    /// Ask for messages.
    Pull(Demand),
    /// Renew the lease of a delivery.
    Progress(K),
    /// Settle a delivery: it is where it was to go.
    Ack(K),
    /// Give a delivery back, to be delivered again after this time.
    Nak(K, Duration),
    /// Settle a delivery that is never to be delivered again.
    Term(K),
    /// Put the message with this number where dead letters go, and say how that went by [`Event::Lettered`].
    DeadLetter(u64, K),
    /// Take nothing more in, and say so by [`Event::Closed`]. No request is out, or its end was waited for in vain.
    Close,
}

/// A request for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// The number of the request.
    pub number: u64,
    /// Most messages.
    pub items: usize,
    /// Most bytes, as the server counts them.
    pub bytes: Option<usize>,
    /// How long it waits at the server.
    pub expires: Duration,
}

/// What an engine tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<T, K> {
    /// A message was delivered.
    Arrived(Arrival<T, K>),
    /// The request with this number ended before all of its messages came: so many will not come, if the server says so. Several
    /// requests may be out, in the order of their numbers.
    Ended(u64, End, Option<usize>),
    /// The message with this number is among the dead letters, or could not be put there.
    Lettered(u64, bool),
    /// How far behind this consumer is, and when the server was asked.
    Lag(Lag, Instant),
    /// Nothing more will arrive.
    Closed,
}

/// A message as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival<T, K> {
    /// The number of the message, the same for every delivery of it.
    pub id: u64,
    /// How this delivery is named in an answer.
    pub key: K,
    /// The message, where it will stay.
    pub item: Arc<T>,
    /// What it weighs in bytes, as the server counts them.
    pub bytes: usize,
    /// Which delivery of the message this is, from 1 on.
    pub delivered: u64,
    /// How many messages wait at the server behind it.
    pub pending: u64,
    /// How old the message is, as far as the clocks of both machines agree.
    pub age: Option<Duration>,
}

impl<T, K> Arrival<T, K> {
    /// The first delivery of a message behind which nothing waits.
    pub fn new(id: u64, key: K, item: T) -> Self {
        Self { id, key, item: Arc::new(item), bytes: 0, delivered: 1, pending: 0, age: None }
    }
}

/// Why a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Its time was over.
    Expired,
    /// The next message does not fit into what is left of its bytes.
    Bytes,
    /// The consumer gives at most so many messages to a request.
    TooMany(usize),
    /// The consumer lets a request wait at most so long.
    TooLong(Duration),
    /// The consumer gives at most so many bytes to a request.
    TooLarge(usize),
    /// The server cannot serve it now: it shuts down, changes its leader, or has too many requests.
    Busy,
    /// Nobody answers.
    Unanswered,
    /// The consumer is gone.
    Gone,
}

/// How far behind a consumer is, of which this may be one worker of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lag {
    /// Messages that no worker was given yet.
    pub pending: u64,
    /// Deliveries, to all workers, that wait for an answer.
    pub ack_pending: u64,
    /// Of those, how many had been delivered before.
    pub redelivered: u64,
    /// How old the newest message is that this worker was given: how far behind it is.
    pub age: Option<Duration>,
    /// Whether the consumer is paused: then no message comes, however many wait.
    pub paused: bool,
}
