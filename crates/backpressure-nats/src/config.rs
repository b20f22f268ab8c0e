//! How much is held, how long, and what becomes of what fails.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, ConfigError};

/// Bounds and waits of a [`PullSource`](crate::PullSource).
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::BackpressureConfig;
/// use backpressure_nats::PullConfig;
///
/// let controller = BackpressureConfig::builder().capacity(1_000).batch_items(100).build()?;
/// let config = PullConfig::new()
///     .room_of(&controller, 4)
///     .redeliver([Duration::from_secs(1), Duration::from_secs(30)]);
/// assert_eq!(config.window(), 1_400);
///
/// let error = config.with_window(0).check().unwrap_err();
/// assert_eq!(error.to_string(), "window is 0, but must be at least 1");
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a configuration does nothing by itself"]
pub struct PullConfig {
    pub(crate) window: usize,
    pub(crate) window_bytes: Option<usize>,
    pub(crate) batch: usize,
    pub(crate) expires: Duration,
    pub(crate) longest_hold: Option<Duration>,
    pub(crate) redeliver: Option<Vec<Duration>>,
    pub(crate) dropped_delay: Duration,
    pub(crate) full_lag: Option<u64>,
    pub(crate) patience: Duration,
}

impl PullConfig {
    /// The defaults: see each setting.
    pub const fn new() -> Self {
        Self {
            window: 1_000,
            window_bytes: None,
            batch: 1_000,
            expires: Duration::from_secs(1),
            longest_hold: None,
            redeliver: None,
            dropped_delay: Duration::from_secs(1),
            full_lag: None,
            patience: Duration::from_secs(10),
        }
    }

    /// Most deliveries that are held at a time: received and not settled, wherever they are. Default 1 000, at least 1.
    ///
    /// This is the demand: the server is never asked for more than the window has room for. A window that is smaller than the room
    /// of what follows leaves it idle; one that is larger leaves messages with a worker that cannot take them, while another
    /// could.
    pub const fn with_window(mut self, deliveries: usize) -> Self {
        self.window = deliveries;
        self
    }

    /// A window as large as the room of a controller with this configuration: its capacity, and what may be in flight with so many
    /// batches at a time.
    pub fn room_of(self, controller: &BackpressureConfig, concurrency: usize) -> Self {
        let in_flight = controller.batch_items().saturating_mul(concurrency);
        self.with_window(controller.capacity().saturating_add(in_flight))
    }

    /// Most bytes that are held at a time, as the server counts them: payload, headers, and some 50 bytes for subjects. Default: no
    /// bound but the window. A message larger than the bound is delivered alone.
    pub const fn window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = Some(bytes);
        self
    }

    /// Most messages of one request. Default 1 000, at least 1. It must not exceed the `subscription_capacity` of the client,
    /// which drops the surplus (64 Ki unless it was set).
    pub const fn batch(mut self, messages: usize) -> Self {
        self.batch = messages;
        self
    }

    /// How long a request waits at the server for messages. Default 1 s, at least 100 ms, at most 24 hours. An idle worker asks this often; a busy one has up to four
    /// requests out, which together fit into its window. After a
    /// restart of the server it takes this long, and a second, until a worker asks again; and a source that is stopped while it
    /// waits for messages waits for the end of its request.
    pub const fn expires(mut self, expires: Duration) -> Self {
        self.expires = expires;
        self
    }

    /// For how long the lease of a delivery that is not settled is renewed. Default: ten times the consumer's `ack_wait`. After it
    /// the server delivers the message to another worker: this one is considered stuck. If it is not, its acknowledgement
    /// still counts when it comes.
    pub const fn longest_hold(mut self, hold: Duration) -> Self {
        self.longest_hold = Some(hold);
        self
    }

    /// What becomes of a delivery that [failed](crate::Delivery::retry): after its first delivery it comes back after the
    /// first wait, after its second after the second one, and when there is none left it is final, as if
    /// [terminated](crate::Delivery::term). The server counts deliveries, those that ended in a killed worker, too.
    ///
    /// Default: it comes back again and again, after 1 s, 2 s, 4 s … at most 60 s.
    pub fn redeliver(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.redeliver = Some(delays.into_iter().collect());
        self
    }

    /// When a delivery that was dropped without a word comes back: one that was shed, evicted, or lost in a panic. Default 1 s. At
    /// once is too soon for something that was dropped because there was no room for it.
    pub const fn dropped_delay(mut self, delay: Duration) -> Self {
        self.dropped_delay = delay;
        self
    }

    /// How many messages that wait at the server make the [gauge](crate::PullHandle::gauge) `Blocked`; half of them make it
    /// `Elevated`, and eight tenths `Critical`. Default: none, and the gauge follows the window alone.
    pub const fn full_lag(mut self, messages: u64) -> Self {
        self.full_lag = Some(messages);
        self
    }

    /// How long nobody may answer before the source ends: a stream or a consumer that is gone looks like a server that is only
    /// about to start. Default 10 s.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Most deliveries that are held at a time.
    pub const fn window(&self) -> usize {
        self.window
    }

    /// Whether it can work.
    ///
    /// # Errors
    ///
    /// A window, a bound in bytes or a batch of 0, a lag of 0, or requests that expire sooner than after 100 ms or later than after
    /// 24 hours.
    pub fn check(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("window", Some(self.window as u64)),
            ("window_bytes", self.window_bytes.map(|bytes| bytes as u64)),
            ("batch", Some(self.batch as u64)),
            ("full_lag", self.full_lag),
        ];
        if let Some((field, _)) = at_least_one.iter().find(|(_, value)| *value == Some(0)) {
            return Err(ConfigError::new(field, 0, "at least 1"));
        }
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(86_400));
        if !(shortest..=longest).contains(&self.expires) {
            let bound = if self.expires < shortest { "at least 100ms" } else { "at most 24h" };
            return Err(ConfigError::new("expires", format!("{:?}", self.expires), bound));
        }
        Ok(())
    }

    /// The wait after this many deliveries; `None` if there is to be none.
    pub(crate) fn redelivery(&self, deliveries: u64) -> Option<Duration> {
        let before = deliveries.saturating_sub(1);
        match &self.redeliver {
            Some(delays) => delays.get(usize::try_from(before).ok()?).copied(),
            None => Some(Duration::from_secs((1 << before.min(6)).min(60))),
        }
    }
}

impl Default for PullConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What the consumer at the server was set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerRules {
    /// How long the server waits for an answer before it delivers a message again. With a back-off, its shortest step.
    pub ack_wait: Duration,
    /// Most deliveries without an answer, of all workers together.
    pub max_ack_pending: Option<usize>,
    /// Most deliveries of one message.
    pub max_deliver: Option<u64>,
    /// Most messages of one request.
    pub max_batch: Option<usize>,
    /// Most bytes of one request.
    pub max_bytes: Option<usize>,
    /// The longest wait of a request.
    pub max_expires: Option<Duration>,
    /// Whether there is a place for what has failed for good.
    pub dead_letters: bool,
}

impl ConsumerRules {
    /// A consumer that bounds nothing.
    pub const fn new(ack_wait: Duration) -> Self {
        Self {
            ack_wait,
            max_ack_pending: None,
            max_deliver: None,
            max_batch: None,
            max_bytes: None,
            max_expires: None,
            dead_letters: false,
        }
    }
}
