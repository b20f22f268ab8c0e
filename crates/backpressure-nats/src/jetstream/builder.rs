//! From a consumer to a source.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{self, AckPolicy, Consumer, PriorityPolicy};
use async_nats::{Client, Message, Subject};
use backpressure_core::ConfigError;

use super::connection::JetStreamEngine;
use crate::config::{ConsumerRules, PullConfig};
use crate::source::PullSource;

/// Starts a [`PullSource`] on a JetStream consumer. Made by [`PullSource::from_consumer`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is spawned"]
pub struct PullBuilder {
    client: Client,
    consumer: Consumer<Config>,
    config: PullConfig,
    group: Option<String>,
    dead_letters: Option<Subject>,
    lag_interval: Duration,
}

impl PullSource<Message> {
    /// Starts building a source on a pull consumer, which has to acknowledge explicitly. Any number of workers may share it.
    ///
    /// ```no_run
    /// use async_nats::jetstream::{self, consumer::pull};
    /// use backpressure_nats::{PullConfig, PullSource};
    ///
    /// # async fn work() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let client = async_nats::connect("nats://127.0.0.1").await?;
    /// let stream = jetstream::new(client.clone()).get_stream("EVENTS").await?;
    /// let config = pull::Config { durable_name: Some("writers".into()), ..pull::Config::default() };
    /// let consumer = stream.get_or_create_consumer("writers", config).await?;
    ///
    /// let mut source = PullSource::from_consumer(client, consumer)
    ///     .config(PullConfig::new().with_window(500))
    ///     .dead_letters("dead.events")
    ///     .spawn()
    ///     .await?;
    /// while let Some(delivery) = source.next().await {
    ///     println!("{} bytes", delivery.payload.len());
    ///     delivery.ack();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub const fn from_consumer(client: Client, consumer: Consumer<Config>) -> PullBuilder {
        let config = PullConfig::new();
        PullBuilder { client, consumer, config, group: None, dead_letters: None, lag_interval: Duration::from_secs(5) }
    }
}

impl PullBuilder {
    /// Bounds and waits.
    pub fn config(self, config: PullConfig) -> Self {
        Self { config, ..self }
    }

    /// Where messages go that failed for good, with their headers, and where they come from in `Backpressure-Stream`,
    /// `-Subject`, `-Sequence` and `-Delivered`. A stream has to keep this subject, and this consumer must not be given it. Only when that
    /// stream has confirmed a message is it taken off the consumer; if it does not, the message comes back after 1 s. Default: none,
    /// and a message that failed for good is gone.
    pub fn dead_letters(self, subject: impl Into<String>) -> Self {
        Self { dead_letters: Some(Subject::from(subject.into())), ..self }
    }

    /// The priority group that requests are made for, if the consumer has one.
    pub fn group(self, name: impl Into<String>) -> Self {
        Self { group: Some(name.into()), ..self }
    }

    /// How often the server is asked how far behind the consumer is. Default 5 s.
    pub const fn lag_interval(mut self, every: Duration) -> Self {
        self.lag_interval = every;
        self
    }

    /// Subscribes, and starts the task that pulls.
    ///
    /// # Errors
    ///
    /// A configuration, or a consumer, with which it could not work; or no connection.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one without time enabled.
    pub async fn spawn(self) -> Result<PullSource<Message>, PullError> {
        self.config.check()?;
        if self.lag_interval.is_zero() {
            return Err(ConfigError::new("lag_interval", "0ns", "above 0").into());
        }
        let rules = rules(&self.consumer.cached_info().config, self.group.as_deref(), self.dead_letters.is_some())?;
        let engine =
            JetStreamEngine::open(self.client, self.consumer, self.group, self.dead_letters, self.lag_interval).await;
        Ok(PullSource::spawn(engine.map_err(|error| PullError::Subscribe(error.into()))?, self.config, rules)?)
    }
}

/// What the consumer was set up with.
fn rules(config: &consumer::Config, group: Option<&str>, dead_letters: bool) -> Result<ConsumerRules, PullError> {
    if config.ack_policy != AckPolicy::Explicit {
        return Err(PullError::Consumer("it does not acknowledge each message explicitly"));
    }
    if config.deliver_subject.is_some() {
        return Err(PullError::Consumer("it pushes"));
    }
    match (&config.priority_policy, group) {
        (PriorityPolicy::PinnedClient, _) => return Err(PullError::Consumer("it pins one client at a time")),
        (PriorityPolicy::None, Some(_)) => return Err(PullError::Consumer("it has no priority groups")),
        (PriorityPolicy::None, None) => {}
        (_, None) => return Err(PullError::Consumer("it has priority groups, and none is named")),
        (_, Some(_)) => {}
    }
    let ack_wait = if config.ack_wait.is_zero() { Duration::from_secs(30) } else { config.ack_wait };
    let bound = |value: i64| usize::try_from(value).ok().filter(|&value| value > 0);
    Ok(ConsumerRules {
        ack_wait: config.backoff.iter().copied().min().unwrap_or(ack_wait),
        max_ack_pending: bound(config.max_ack_pending),
        max_deliver: u64::try_from(config.max_deliver).ok().filter(|&most| most > 0),
        max_batch: bound(config.max_batch),
        max_bytes: bound(config.max_bytes),
        max_expires: Some(config.max_expires).filter(|longest| !longest.is_zero()),
        dead_letters,
    })
}

/// Why a source was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum PullError {
    /// A setting could not work.
    Config(ConfigError),
    /// The consumer cannot be pulled from by several workers that acknowledge one by one, for this reason.
    Consumer(&'static str),
    /// There is no connection to subscribe over.
    Subscribe(Box<dyn Error + Send + Sync>),
}

impl From<ConfigError> for PullError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Consumer(why) => write!(f, "cannot pull from this consumer: {why}"),
            Self::Subscribe(_) => f.write_str("cannot subscribe"),
        }
    }
}

impl Error for PullError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Subscribe(error) => Some(&**error),
            Self::Config(_) | Self::Consumer(_) => None,
        }
    }
}
