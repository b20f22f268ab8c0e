//! The batching layer.

use std::fmt;
use std::sync::Arc;

use backpressure_core::BackpressureConfig;

use super::plan::Settings;

/// Turns a service that answers batches into one that answers single calls: many callers, one call of the inner service,
/// each caller its own answer.
///
/// The inner service is any `Service<Vec<Req>>` that gives one [answer](crate::Answers) for each request, in their order. `Resp` is
/// what a caller gets.
///
/// ```text
///  call(a) ─┐                                ┌─▶ a's answer
///  call(b) ─┼─▶ [a, b, c] ─▶ inner.call ─────┼─▶ b's answer
///  call(c) ─┘   while it is busy: [d, e, …]  └─▶ c's answer
/// ```
///
/// Each [`layer`](tower_layer::Layer::layer) makes a batcher of its own, since a batch cannot go to two inner services, and spawns its
/// worker, one task for its whole life. A caller that is alone does without it: it
/// [calls the inner service itself](crate::BatchWorker::led_by_callers). All clones of the resulting [`Batch`](crate::Batch) share it, so build the service once and clone
/// that.
///
/// The inner service is asked for readiness only when a batch is about to leave, and a readiness that no caller is left to use
/// is [given back](crate::BatchWorker::releasing_readiness); this is why it has to be `Clone`.
///
/// # Panics
///
/// `layer` panics outside of a tokio runtime. [`Batch::pair`](crate::Batch::pair) leaves the spawning to you.
///
/// # Example
///
/// ```
/// use backpressure_tower::BatchLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // One query for many keys.
/// let query = service_fn(|keys: Vec<u64>| async move {
///     println!("SELECT … WHERE id IN ({keys:?})");
///     Ok::<_, std::io::Error>(keys.iter().map(|key| format!("row {key}")).collect::<Vec<_>>())
/// });
/// let layer = BatchLayer::builder().max_items(64).build()?;
/// let row = ServiceBuilder::new().layer(layer).service(query);
///
/// let one = row.clone().oneshot(1);
/// let two = row.clone().oneshot(2);
/// let (one, two) = tokio::join!(one, two);
/// assert_eq!((one?, two?), ("row 1".into(), "row 2".into()));
/// # Ok(())
/// # }
/// ```
pub struct BatchLayer<Req, Resp> {
    pub(super) settings: Arc<Settings<Req, Resp>>,
    /// What the queue gets of them.
    pub(super) buffer: BackpressureConfig,
}

impl<Req, Resp> Clone for BatchLayer<Req, Resp> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings), buffer: self.buffer.clone() }
    }
}

impl<Req, Resp> fmt::Debug for BatchLayer<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { config, when_idle, max_keys, pacer, sizer, .. } = &*self.settings;
        let mut layer = f.debug_struct("BatchLayer");
        layer.field("config", config).field("when_idle", when_idle).field("max_keys", max_keys);
        layer.field("pacer", pacer).field("sizer", sizer).finish_non_exhaustive()
    }
}
