//! The adapters, as methods of every stream.

use backpressure_core::BackpressureConfig;
#[cfg(feature = "time")]
use backpressure_core::BatchConfig;
use futures_core::{Stream, TryStream};
use futures_sink::Sink;

use crate::backpressure::Backpressure;
use crate::conflate::Conflate;
use crate::forward::ForwardInto;
#[cfg(feature = "time")]
use crate::{
    coalesce::Coalesce, micro_batch::MicroBatch, micro_batch_by::MicroBatchBy, try_micro_batch::TryMicroBatch,
};

/// Bounded buffers and batches for every [`Stream`].
pub trait BackpressureStreamExt: Stream {
    /// Reads ahead into a bounded buffer, and does what the strategy of `config` says when that is full.
    ///
    /// The fields of `config` that concern batches and pacing have no effect. See [`Backpressure`].
    fn backpressure(self, config: BackpressureConfig) -> Backpressure<Self>
    where
        Self: Sized,
    {
        Backpressure::new(self, config)
    }

    /// Gathers items into batches by size, weight and time, as `config` says. See [`MicroBatch`].
    #[cfg(feature = "time")]
    fn micro_batch(self, config: BatchConfig) -> MicroBatch<Self>
    where
        Self: Sized,
    {
        MicroBatch::new(self, config)
    }

    /// Gathers items into batches of one key each, and yields every batch with its key. See [`MicroBatchBy`].
    #[cfg(feature = "time")]
    fn micro_batch_by<K, F>(self, key: F, config: BatchConfig) -> MicroBatchBy<Self, K, F>
    where
        Self: Sized,
        F: FnMut(&Self::Item) -> K,
    {
        MicroBatchBy::new(self, key, config)
    }

    /// Gathers the successes of a stream of results into batches; an error closes the open batch and follows it. See
    /// [`TryMicroBatch`].
    #[cfg(feature = "time")]
    fn try_micro_batch(self, config: BatchConfig) -> TryMicroBatch<Self>
    where
        Self: Sized + TryStream,
    {
        TryMicroBatch::new(self, config)
    }

    /// Sends the successes of a stream of results into a sink whose error is another one, until the stream ends or either
    /// fails; the end closes the sink.
    ///
    /// ```
    /// use backpressure_core::BatchConfig;
    /// use backpressure_sink::ServiceSink;
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    /// use tower::service_fn;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lines = stream::iter(["1", "2", "x"]).map(|line: &str| line.parse::<u64>()); // fails with a ParseIntError
    /// let insert = service_fn(|rows: Vec<u64>| async move { Ok::<_, std::io::Error>(rows.len()) });
    ///
    /// let batches = lines.try_micro_batch(BatchConfig::builder().max_items(100).build()?);
    /// let error = batches.forward_into(ServiceSink::new(insert)).await.unwrap_err();
    /// assert_eq!(error.to_string(), "stream failed: invalid digit found in string");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Both errors are in [`ForwardError`](crate::ForwardError). If either is no [`Error`](std::error::Error), such as
    /// `anyhow::Error`, `?` takes it after [`into_boxed`](crate::ForwardError::into_boxed).
    ///
    /// # Errors
    ///
    /// [`Upstream`](crate::ForwardError::Upstream) once what came before the error is flushed; awaiting the future again by
    /// reference goes on after it. [`Sink`](crate::ForwardError::Sink) at once.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is polled again. What it holds if not, [`into_parts`](ForwardInto::into_parts) gives back.
    fn forward_into<Si>(self, sink: Si) -> ForwardInto<Self, Si>
    where
        Self: Sized + TryStream,
        Si: Sink<Self::Ok>,
    {
        ForwardInto::new(self, sink)
    }

    /// Merges what became ready while the consumer was away into one item: `merge(older, newer)`. See [`Conflate`].
    ///
    /// `|_, newest| newest` keeps the latest item.
    fn conflate<F>(self, merge: F) -> Conflate<Self, F>
    where
        Self: Sized,
        F: FnMut(Self::Item, Self::Item) -> Self::Item,
    {
        Conflate::new(self, merge)
    }

    /// Merges chunks of bytes that are ready into frames of at most so many bytes, and keeps small frames few. See
    /// [`Coalesce`].
    ///
    /// 16 KiB is what HTTP/2 takes in one frame. Fewer than 512 count as 512, unless small frames never wait.
    #[cfg(feature = "time")]
    fn coalesce(self, bytes: usize) -> Coalesce<Self>
    where
        Self: Sized,
        Self::Item: AsRef<[u8]> + From<Vec<u8>>,
    {
        Coalesce::new(self, bytes)
    }
}

impl<St: Stream + ?Sized> BackpressureStreamExt for St {}
