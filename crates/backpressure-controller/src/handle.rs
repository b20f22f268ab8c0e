//! Changing a controller that is in use.

use std::fmt;

use backpressure_channel::ChannelHandle;
use backpressure_core::{BackpressureConfig, ConfigError, Gauge};
use futures_channel::mpsc;

use crate::check::{at_least_1, smallest_batch};
use crate::command::Command;

/// Changes a controller that is in use. Made by
/// [`BackpressureController::handle`](crate::BackpressureController::handle); clone it freely.
///
/// It does not keep the controller at work: that ends with the last producer's handle, whatever there is of these. After that
/// nothing comes of a reconfiguration.
///
/// ```
/// use std::time::Duration;
/// use backpressure_controller::BackpressureController;
/// use backpressure_core::BackpressureConfig;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = BackpressureConfig::builder().capacity(100).batch_items(10).build()?;
/// let controller = BackpressureController::builder(config)
///     .flush_fn(async |batch: Vec<u32>| Ok::<_, std::io::Error>(println!("{} rows", batch.len())))
///     .spawn()?;
/// let handle = controller.handle();
/// let config = handle.config().to_builder();
/// handle.reconfigure(config.capacity(1_000).batch_items(250).build()?)?;
/// handle.set_concurrency(4)?;
///
/// for row in 0..500 {
///     controller.try_push(row)?;
/// }
/// assert!(controller.drain(Duration::from_secs(1)).await.is_complete());
/// # Ok(())
/// # }
/// ```
pub struct ControllerHandle<T> {
    channel: ChannelHandle<T>,
    commands: mpsc::UnboundedSender<Command<T>>,
    smallest_batch: Option<usize>,
}

impl<T> ControllerHandle<T> {
    pub(crate) const fn new(
        channel: ChannelHandle<T>,
        commands: mpsc::UnboundedSender<Command<T>>,
        smallest_batch: Option<usize>,
    ) -> Self {
        Self { channel, commands, smallest_batch }
    }

    /// Gives the controller all that `config` says. Bounds, watermarks and strategy hold when this returns, as
    /// [`ChannelHandle::reconfigure`] says; batch items, batch weight, flush interval and target latency from the next turn of
    /// the worker on, before it takes another batch.
    ///
    /// What was learned is kept as far as the new bounds allow: the interval, and a batch size that
    /// [adapts](crate::FlushBuilder::adapt_batch_items), move into them. A batch that waits goes on waiting since its first
    /// item, for as long as the new interval says. Batches in flight, and their retries, go on as they are. How many items
    /// are [set aside](crate::FlushBuilder::set_aside_at_most) stays as it was built.
    ///
    /// If several reconfigure at once, one of the configurations holds as a whole.
    ///
    /// # Errors
    ///
    /// `max_weight` or `max_age` set where the controller was built without, or the other way round, and batch items below the
    /// smallest batch. Nothing has changed then.
    pub fn reconfigure(&self, config: BackpressureConfig) -> Result<(), ConfigError> {
        smallest_batch(self.smallest_batch, &config)?;
        self.channel.reconfigure(config)?;
        // The worker reads what holds then. One that is gone has nothing left to do.
        let _ = self.commands.unbounded_send(Command::Reconfigured);
        Ok(())
    }

    /// Lets so many batches be in flight at once, from the next turn of the worker on. With fewer than there are in flight,
    /// none starts before as many have come back.
    ///
    /// # Errors
    ///
    /// A concurrency of 0. Nothing has changed then.
    pub fn set_concurrency(&self, batches: usize) -> Result<(), ConfigError> {
        at_least_1("concurrency", Some(batches))?;
        let _ = self.commands.unbounded_send(Command::Concurrency(batches));
        Ok(())
    }

    /// The configuration that holds now.
    pub fn config(&self) -> BackpressureConfig {
        self.channel.config()
    }

    /// How full the buffer is, and what has happened.
    pub fn gauge(&self) -> Gauge {
        self.channel.gauge()
    }
}

impl<T> Clone for ControllerHandle<T> {
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone(), commands: self.commands.clone(), smallest_batch: self.smallest_batch }
    }
}

impl<T> fmt::Debug for ControllerHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerHandle").field("config", &self.config()).finish_non_exhaustive()
    }
}
