//! The sink around the decisions.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use backpressure_core::{AdmissionMeter, ConfigError, DropReason, Gauge, State};
use futures_sink::Sink;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep_until};

use super::outgoing::Outgoing;
use super::unconfirmed::{Answer, SinkCounts, Unconfirmed};
use super::{verdict, watch as losses};
use crate::clock::now;

/// async-nats blocks at 5 000 publications without an answer.
const MOST: usize = 4_096;

type Answered = (Outgoing, Result<PublishAck, PublishError>);

/// Publishes to a stream. What is not confirmed is bounded, and confirmations are awaited side by side.
///
/// * A stream that is full and has `discard: new` refuses messages. They stay in the sink and are tried again; meanwhile it is
///   not ready, and its [gauge](Self::gauge) is `Blocked`.
/// * A stream with `discard: old` takes everything, and throws away what is old: it is counted, see
///   [`discarded`](SinkCounts::discarded).
/// * What is not confirmed in time is published again, until [`patience`](SinkBuilder::patience) is over. With an
///   [id](Outgoing::id) it is stored once.
/// * The order is kept as long as nothing is refused or lost on the way. With a [bound](SinkBuilder::unconfirmed) of 1 it is
///   always kept.
///
/// An error is that of one message, which it hands back; the sink goes on. `poll_flush` and `poll_close` wait until everything is
/// confirmed. Dropping the sink leaves open what becomes of the unconfirmed.
///
/// ```no_run
/// use backpressure_nats::{JetStreamSink, Outgoing};
/// use futures_util::SinkExt;
///
/// # async fn publish() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let client = async_nats::connect("nats://127.0.0.1").await?;
/// let mut sink = JetStreamSink::builder(async_nats::jetstream::new(client)).unconfirmed(256).build()?;
/// for n in 0..10_000 {
///     sink.feed(Outgoing::new("events.n", n.to_string()).id(&format!("n-{n}"))).await?;
/// }
/// sink.close().await?;
/// assert_eq!(sink.counts().confirmed, 10_000);
/// # Ok(())
/// # }
/// ```
pub struct JetStreamSink {
    jetstream: Context,
    unconfirmed: Unconfirmed<Outgoing>,
    out: JoinSet<Answered>,
    meter: AdmissionMeter,
    lost: Option<watch::Receiver<u64>>,
    /// Ends with the sink.
    _watcher: JoinSet<()>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is set before there is a sink.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct SinkBuilder {
    jetstream: Context,
    most: usize,
    patience: Duration,
    watched: Option<(String, Duration)>,
}

impl JetStreamSink {
    /// Starts building a sink. How long an answer may take is up to the `timeout` of the context.
    pub const fn builder(jetstream: Context) -> SinkBuilder {
        SinkBuilder { jetstream, most: 1_000, patience: Duration::from_secs(60), watched: None }
    }
}

impl SinkBuilder {
    /// Most messages without an answer. Default 1 000, at least 1, at most 4 096.
    pub const fn unconfirmed(mut self, messages: usize) -> Self {
        self.most = messages;
        self
    }

    /// For how long messages that nobody answers are published again. Default 60 s. A full stream is waited for without end.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Looks this often at how much this stream has thrown away, for [`SinkCounts::discarded`]. Default: it is not looked at.
    pub fn count_discarded(self, stream: impl Into<String>, every: Duration) -> Self {
        Self { watched: Some((stream.into(), every)), ..self }
    }

    /// The sink.
    ///
    /// # Errors
    ///
    /// A bound of 0 or above 4 096, or an interval of 0.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, if discarded messages are to be counted.
    pub fn build(self) -> Result<JetStreamSink, ConfigError> {
        if !(1..=MOST).contains(&self.most) {
            return Err(ConfigError::new("unconfirmed", self.most, format!("from 1 to {MOST}")));
        }
        if self.watched.as_ref().is_some_and(|(_, every)| every.is_zero()) {
            return Err(ConfigError::new("count_discarded", "0ns", "above 0"));
        }
        let mut watcher = JoinSet::new();
        let lost = self.watched.map(|(stream, every)| {
            let (lost, seen) = watch::channel(0);
            watcher.spawn(losses::losses(self.jetstream.clone(), stream, every, lost));
            seen
        });
        Ok(JetStreamSink {
            jetstream: self.jetstream,
            unconfirmed: Unconfirmed::new(self.most, self.patience),
            out: JoinSet::new(),
            meter: AdmissionMeter::new(self.most, now),
            lost,
            _watcher: watcher,
            timer: None,
        })
    }
}

impl JetStreamSink {
    /// What happened to messages so far.
    pub fn counts(&self) -> SinkCounts {
        self.unconfirmed.counts()
    }

    /// The pressure of the sink: what is unconfirmed is in flight, what is confirmed is delivered. `Blocked` at the bound, and while
    /// the stream takes nothing.
    pub fn gauge(&self) -> Gauge {
        self.meter.gauge()
    }

    /// Takes the answers that have come, and publishes again what is due. Ready with an error for each message that failed.
    fn poll_answers(&mut self, cx: &mut Task<'_>) -> Poll<SinkError> {
        let now = now();
        if let Some(lost) = &self.lost {
            self.unconfirmed.discarded(*lost.borrow());
        }
        while let Poll::Ready(Some(Ok((message, answer)))) = self.out.poll_join_next(cx) {
            let verdict = verdict::of(&answer);
            let failed = self.unconfirmed.answered(now, message, verdict);
            if let Answer::Stored(_) = verdict {
                self.meter.give_back();
            }
            if let (Some(message), Err(error)) = (failed, answer) {
                self.meter.lose(DropReason::Failed);
                self.publish_state();
                return Poll::Ready(SinkError { message, error });
            }
        }
        if let Some(message) = self.unconfirmed.again(now) {
            self.publish(message);
            // Its answer has to wake this task.
            cx.waker().wake_by_ref();
        }
        self.publish_state();
        self.arm(cx);
        Poll::Pending
    }

    fn publish(&mut self, message: Outgoing) {
        let jetstream = self.jetstream.clone();
        self.out.spawn(async move {
            let (subject, parts) = message.parts();
            let answer = match jetstream.send_publish(subject, parts).await {
                Ok(confirmation) => confirmation.await,
                Err(error) => Err(error),
            };
            (message, answer)
        });
    }

    fn publish_state(&self) {
        let share = self.meter.gauge().utilization();
        let state = match share {
            _ if self.unconfirmed.is_blocked() => State::Blocked,
            share if share < 0.5 => State::Normal,
            share if share < 0.8 => State::Elevated,
            share if share < 1.0 => State::Critical,
            _ => State::Blocked,
        };
        if self.meter.enter(state) {
            self.meter.notify();
        }
    }

    /// Wakes the task when something is to be published again.
    fn arm(&mut self, cx: &mut Task<'_>) {
        let Some(at) = self.unconfirmed.timeout() else {
            self.timer = None;
            return;
        };
        let at = at.into();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at))); // tidy: paused clock
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Sink<Outgoing> for JetStreamSink {
    type Error = SinkError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Result<(), SinkError>> {
        match self.poll_answers(cx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending if self.unconfirmed.has_room() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn start_send(mut self: Pin<&mut Self>, message: Outgoing) -> Result<(), SinkError> {
        self.unconfirmed.sent();
        let _ = self.meter.try_take();
        self.publish(message);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Result<(), SinkError>> {
        match self.poll_answers(cx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending if self.unconfirmed.is_empty() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Result<(), SinkError>> {
        self.poll_flush(cx)
    }
}

impl Drop for JetStreamSink {
    fn drop(&mut self) {
        for _ in 0..self.unconfirmed.counts().unconfirmed {
            self.meter.lose(DropReason::Closed);
        }
    }
}

/// A message that was not published, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct SinkError {
    /// The message.
    pub message: Outgoing,
    /// What the server, or the client, said.
    pub error: PublishError,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message for {} was not published", self.message.subject())
    }
}

impl Error for SinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Debug for JetStreamSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamSink").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
