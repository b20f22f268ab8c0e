//! The extension trait: `.bounded(config)` on any sink.

use backpressure_core::BackpressureConfig;
use futures_sink::Sink;

use crate::sink::BackpressureSink;

/// Brings the adapters of this crate to every [`Sink`].
///
/// ```
/// use backpressure_core::BackpressureConfig;
/// use backpressure_sink::BackpressureSinkExt;
/// use futures_util::SinkExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = BackpressureConfig::builder().capacity(64).build()?;
/// let mut sink = Vec::new().bounded(config);
/// sink.feed('a').await?;
/// sink.send('b').await?;
/// assert_eq!(sink.get_ref(), &['a', 'b']);
/// # Ok(())
/// # }
/// ```
pub trait BackpressureSinkExt<T>: Sink<T> + Sized {
    /// Puts a bounded buffer in front of this sink: see [`BackpressureSink`].
    ///
    /// It is not called `backpressure`, as its counterpart for streams is, because many a type is both.
    fn bounded(self, config: BackpressureConfig) -> BackpressureSink<Self, T> {
        BackpressureSink::new(self, config)
    }
}

impl<Si: Sink<T>, T> BackpressureSinkExt<T> for Si {}
