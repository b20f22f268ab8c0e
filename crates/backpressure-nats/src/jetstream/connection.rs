//! Requests, deliveries and answers of one worker, over one subscription.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::connection::State;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::{BatchConfig, Config};
use async_nats::{Client, Message, Subject, Subscriber};
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{letters, reply, status};
use crate::clock::now;
use crate::engine::{Arrival, Command, Demand, Disconnected, Engine, Event, Lag};

/// A hundred years. The server counts nanoseconds since 1970 in 64 bits: what does not fit is delivered again at once.
const LONGEST_DELAY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How a delivery is named: where its answer goes; and the message, if it may become a dead letter.
#[derive(Debug, Clone)]
pub struct DeliveryKey {
    reply: Subject,
    letter: Option<Box<Message>>,
}

type Happened = Event<Message, DeliveryKey>;

/// A worker's connection to a pull consumer. Made by [`PullBuilder`](crate::PullBuilder).
///
/// All requests have their answers sent to one subscription, each under a number of its own. So what arrives after a request was
/// given up is received all the same, and an end is known to belong to its request.
#[derive(Debug)]
pub struct JetStreamEngine {
    client: Client,
    consumer: Consumer<Config>,
    group: Option<String>,
    dead_letters: Option<Subject>,
    inbox: String,
    /// `None` once nothing more will arrive.
    subscriber: Option<Subscriber>,
    /// What the tasks beside have found out.
    beside: mpsc::UnboundedReceiver<Happened>,
    report: mpsc::UnboundedSender<Happened>,
    /// They end with the engine.
    tasks: JoinSet<()>,
}

impl JetStreamEngine {
    pub(super) async fn open(
        client: Client,
        consumer: Consumer<Config>,
        group: Option<String>,
        dead_letters: Option<Subject>,
        lag_interval: Duration,
    ) -> Result<Self, async_nats::SubscribeError> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(format!("{inbox}.*")).await?;
        let (report, beside) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_lag(consumer.clone(), lag_interval, report.clone()));
        Ok(Self { client, consumer, group, dead_letters, inbox, subscriber: Some(subscriber), beside, report, tasks })
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, events: &mut Vec<Happened>, most: usize) -> Poll<()> {
        let before = events.len();
        while let Poll::Ready(Some(event)) = self.beside.poll_recv(cx) {
            events.push(event);
        }
        let mut clock = None;
        while let Some(subscriber) = self.subscriber.as_mut().filter(|_| events.len() < before + most) {
            match Pin::new(subscriber).poll_next(cx) {
                Poll::Ready(Some(message)) => {
                    events.extend(self.received(message, *clock.get_or_insert_with(SystemTime::now)));
                }
                Poll::Ready(None) => {
                    self.subscriber = None;
                    events.push(Event::Closed);
                }
                Poll::Pending => break,
            }
        }
        if events.len() > before { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What a message on the subscription says; nothing if it is neither a delivery nor an end.
    fn received(&self, message: Message, now: SystemTime) -> Option<Happened> {
        if let Some(status) = message.status.filter(|status| status.as_u16() != 200) {
            let number = message.subject.rsplit('.').next()?.parse().ok()?;
            let end = status::end(status, message.description.as_deref().unwrap_or_default())?;
            return Some(Event::Ended(number, end, status::undelivered(message.headers.as_ref())));
        }
        let reply = message.reply.clone()?;
        let position = reply::parse(&reply)?;
        let published = UNIX_EPOCH.checked_add(Duration::from_nanos(position.published));
        let letter = self.dead_letters.is_some().then(|| Box::new(message.clone()));
        Some(Event::Arrived(Arrival {
            id: position.sequence,
            key: DeliveryKey { reply, letter },
            bytes: message.length,
            item: Arc::new(message),
            delivered: position.delivered,
            pending: position.pending,
            age: published.and_then(|published| now.duration_since(published).ok()),
        }))
    }

    async fn pull(&self, demand: Demand) -> Result<(), Disconnected> {
        let request = BatchConfig {
            batch: demand.items,
            expires: Some(demand.expires),
            max_bytes: demand.bytes.unwrap_or_default(),
            group: self.group.clone(),
            ..BatchConfig::default()
        };
        let inbox = Subject::from(format!("{}.{}", self.inbox, demand.number));
        self.consumer.request_batch(request, inbox).await.map_err(|_| Disconnected)
    }

    async fn answer(&self, key: DeliveryKey, kind: AckKind) -> Result<(), Disconnected> {
        self.client.publish(key.reply, kind.into()).await.map_err(|_| Disconnected)
    }

    fn bury(&mut self, id: u64, key: DeliveryKey) {
        let (Some(letters), Some(message)) = (self.dead_letters.clone(), key.letter) else { return };
        while self.tasks.try_join_next().is_some() {}
        let context = async_nats::jetstream::new(self.client.clone());
        let stream = self.consumer.cached_info().stream_name.clone();
        let report = self.report.clone();
        self.tasks.spawn(async move {
            let is_there = letters::bury(context, letters, stream, *message).await;
            let _ = report.send(Event::Lettered(id, is_there));
        });
    }
}

impl Engine for JetStreamEngine {
    type Item = Message;
    type Key = DeliveryKey;

    async fn receive(&mut self, events: &mut Vec<Happened>, most: usize) {
        poll_fn(|cx| self.poll_receive(cx, events, most)).await;
    }

    async fn perform(&mut self, command: Command<DeliveryKey>) -> Result<(), Disconnected> {
        match command {
            Command::Pull(demand) => self.pull(demand).await,
            Command::Progress(key) => self.answer(key, AckKind::Progress).await,
            Command::Ack(key) => self.answer(key, AckKind::Ack).await,
            Command::Nak(key, Duration::ZERO) => self.answer(key, AckKind::Nak(None)).await,
            Command::Nak(key, delay) => self.answer(key, AckKind::Nak(Some(delay.min(LONGEST_DELAY)))).await,
            Command::Term(key) => self.answer(key, AckKind::Term).await,
            Command::DeadLetter(id, key) => {
                self.bury(id, key);
                Ok(())
            }
            Command::Close => {
                // No request is out, so nothing is on its way. The subscriber's own `drain` would not wait for what is.
                self.subscriber = None;
                self.report.send(Event::Closed).map_err(|_| Disconnected)
            }
        }
    }

    async fn flush(&mut self) {
        let _ = self.client.flush().await;
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

/// Asks the server every now and then, as long as somebody listens.
async fn watch_lag(consumer: Consumer<Config>, every: Duration, report: mpsc::UnboundedSender<Happened>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !report.is_closed() {
        ticks.tick().await;
        let asked = now();
        let Ok(Ok(info)) = timeout(every, consumer.get_info()).await else { continue };
        let lag = Lag {
            pending: info.num_pending,
            ack_pending: info.num_ack_pending as u64,
            redelivered: info.num_redelivered as u64,
            age: None,
            paused: info.paused,
        };
        if report.send(Event::Lag(lag, asked)).is_err() {
            break;
        }
    }
}
