//! The layer that sheds.
//!
//! ```text
//!  request ──▶ classify ──▶ watch ──────────▶ limiter ─────▶ inner service ──▶ respond ──▶ response
//!                │ bypass     │ gauge, policy    │ slot, queue                    ▲ ▲
//!                └────────────┼──────────────────┼────────────────────────────────┘ │
//!                             └── Overloaded ────┴──────────────────────────────────┘
//! ```

mod builder;
mod classify;
mod counts;
mod drain;
mod future;
mod gate;
mod handle;
mod layer;
mod lingering;
mod metrics;
mod parked;
mod policy;
mod respond;
mod service;
mod tenants;
mod timed_out;
mod until;
mod watch;

pub use builder::ShedLayerBuilder;
pub use classify::{ByClass, ByLevel, ByWaitTimeout, Bypass, Class, Classify};
pub use counts::ShedCounts;
pub use drain::{Drain, ShedDrainReport};
pub use future::ShedFuture;
pub use handle::ShedHandle;
pub use layer::ShedLayer;
#[cfg(feature = "http")]
pub(crate) use lingering::{Fate, Stay};
pub use lingering::{LingerCounts, Lingering};
pub use policy::{Action, Policy};
pub use respond::{ByOutcome, Responder, ShedError};
pub use service::Shed;
pub use tenants::{ByTenant, TenantLevels};
pub use timed_out::is_timeout;

/// Neither knows requests nor changes answers: what a [`ShedLayer`] is made with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plain;
