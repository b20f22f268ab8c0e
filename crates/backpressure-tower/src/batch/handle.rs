//! Changing a batcher that is in use.

use std::fmt;
use std::sync::Arc;

use backpressure_core::{ConfigError, Gauge};

use super::exchange::Exchange;
use super::plan::BatcherConfig;

/// Changes a batcher that is in use. Made by [`Batch::handle`](crate::Batch::handle); clone it freely.
///
/// It keeps the batcher's memory, but does not keep it at work: that ends with the last [`Batch`](crate::Batch), whatever there
/// is of these. After that nothing comes of a reconfiguration.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use backpressure_tower::BatchLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let double = service_fn(|batch: Vec<u32>| async move { Ok::<_, Infallible>(batch.iter().map(|n| 2 * n).collect::<Vec<_>>()) });
/// let mut batch = ServiceBuilder::new().layer(BatchLayer::builder().max_items(10).build()?).service(double);
/// let handle = batch.handle();
///
/// let mut config = handle.config();
/// config.max_items = 250;
/// config.linger = Duration::from_millis(2);
/// config.concurrency = 4;
/// handle.reconfigure(config)?;
/// assert_eq!(batch.ready().await?.call(21).await?, 42);
///
/// config.capacity = 100;
/// let error = handle.reconfigure(config).unwrap_err();
/// assert_eq!(error.to_string(), "max_items is 250, but must be at most the capacity (100)");
/// assert_eq!(handle.config().capacity, 10_000);
/// # Ok(())
/// # }
/// ```
pub struct BatchHandle<Req, Resp, E> {
    exchange: Arc<Exchange<Req, Resp, E>>,
}

impl<Req, Resp, E> BatchHandle<Req, Resp, E> {
    pub(super) const fn new(exchange: Arc<Exchange<Req, Resp, E>>) -> Self {
        Self { exchange }
    }

    /// Gives the batcher all that `config` says. Capacity and watermarks hold when this returns, and the gauge shows them; the
    /// size of batches, linger, quiet and concurrency from the next turn of the worker on, before it sends another batch.
    ///
    /// * A larger capacity gives places to as many handles that wait in `poll_ready` as now fit, first come, first served, and
    ///   wakes them.
    /// * A smaller one drops no call. While more calls wait than it allows nobody becomes ready, and the state is
    ///   [`Blocked`](backpressure_core::State::Blocked). Handles that are ready keep their places, and may call.
    /// * A batch that gathers goes on waiting since its first request, for as long as the new linger says, and leaves at once if
    ///   it is full by the new size.
    /// * With less concurrency than batches are with the inner service, none is sent before as many have come back.
    /// * A size that is [learned](crate::BatchLayerBuilder::adaptive_size) is kept as far as the new `max_items` allows.
    ///
    /// If several reconfigure at once, one of the configurations holds as a whole.
    ///
    /// # Errors
    ///
    /// The first field whose value is out of its bound, as for [`build`](crate::BatchLayerBuilder::build); `max_weight` set where
    /// requests are not weighed, or unset where they are; another `linger` or `concurrency` than before where it is learned. Nothing has
    /// changed then.
    pub fn reconfigure(&self, config: BatcherConfig) -> Result<(), ConfigError> {
        self.exchange.reconfigure(config)
    }

    /// The configuration that was accepted last.
    pub fn config(&self) -> BatcherConfig {
        self.exchange.config()
    }

    /// How many calls wait for their batch, how many are with the inner service, and what became of the others. See
    /// [`Batch::gauge`](crate::Batch::gauge).
    pub fn gauge(&self) -> Gauge {
        self.exchange.gauge.clone()
    }
}

impl<Req, Resp, E> Clone for BatchHandle<Req, Resp, E> {
    fn clone(&self) -> Self {
        Self { exchange: Arc::clone(&self.exchange) }
    }
}

impl<Req, Resp, E> fmt::Debug for BatchHandle<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchHandle").field("config", &self.config()).finish_non_exhaustive()
    }
}
