//! The settings of a batcher: numbers, and the user's functions.

use std::sync::Arc;

use backpressure_core::limit::Limit;
use backpressure_core::{BackpressureConfig, BatchConfig, BatchSizer, FlushPacer};

use super::call::Inspector;
use super::dedup::Dedup;
use super::keys::MakeSort;

/// What becomes of a batch that failed as a whole: by an error, a panic, or an answer of the wrong length.
///
/// Only idempotent requests bear to be sent again. Batches that are sent again go before others, within the same
/// [concurrency](crate::BatchLayerBuilder::concurrency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fallback {
    /// Each request is sent again in a batch of its own: as many calls as there are requests, whatever the cause.
    OneByOne,
    /// The batch is sent again in two halves, and each half that fails likewise, so that one bad request among `n` is found
    /// with about `2 log2 n` calls and fails alone. If everything is bad, there are `2 n` calls.
    Bisect,
}

/// When a batch waits for more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linger {
    Never,
    /// While another batch is with the inner service.
    WhileBusy,
    Always,
}

/// What is the same for every batcher of a layer.
pub(crate) struct Settings<Req, Resp> {
    pub(crate) batch: BatchConfig,
    pub(crate) buffer: BackpressureConfig,
    pub(crate) concurrency: usize,
    pub(crate) linger: Linger,
    pub(crate) max_keys: usize,
    pub(crate) pacer: Option<FlushPacer>,
    pub(crate) sizer: Option<BatchSizer>,
    pub(crate) hooks: Hooks<Req, Resp>,
}

/// Makes the limit of each batcher.
pub(crate) type MakeLimit = Arc<dyn Fn() -> Box<dyn Limit> + Send + Sync>;

/// Copies the requests of a batch.
pub(crate) type CopyAll<Req> = fn(&[Req]) -> Vec<Req>;

/// The user's functions.
pub(crate) struct Hooks<Req, Resp> {
    pub(crate) inspector: Inspector<Req>,
    pub(crate) sorting: Option<MakeSort<Req>>,
    pub(crate) dedup: Option<Dedup<Req, Resp>>,
    pub(crate) fallback: Option<(Fallback, CopyAll<Req>)>,
    pub(crate) limit: Option<MakeLimit>,
}
