//! Pull from NATS JetStream at the pace of what follows, acknowledge after the flush, lose nothing at kill -9.
//!
//! ```text
//!            ┌ PullSource ─────────────────────┐          BackpressureController            AckAfter
//!  JetStream │ asks for as much as there is    │ Delivery ┌───────────────┐ batches ┌──────────────────┐
//!  consumer ─┤ room for; renews leases; knows  ├─────────▶│ bounded buffer├────────▶│ the flush to the │
//!            │ late and double deliveries      │          └───────────────┘         │ database         │
//!            └──────▲──────────────────────────┘                                    └────────┬─────────┘
//!                   └──────────── ack · nak after a delay · term and dead letter ────────────┘
//! ```
//!
//! One process that is outgrown needs its buffer elsewhere, in an engine that keeps it. Any number of workers pull from it with
//! this crate. What each holds is bounded by its [window](PullConfig::with_window); what waits at the server is the pressure.
//!
//! * [`PullSource`] is a [`Stream`](futures_core::Stream) of [`Delivery`]. Each is settled exactly once, or goes back.
//! * [`AckExt`] puts it before a controller: what a flush delivered is acknowledged, what failed goes back after a delay,
//!   poison ends among the dead letters.
//! * [`JetStreamSink`] publishes with a bound on what is not confirmed.
//! * [`engine`] is what all of this needs of an engine. Nothing but [`jetstream`] knows NATS.
//!
//! A message is delivered *at least* once. So that nothing is written twice, the flush writes the [id](Delivery::id) beside the row,
//! under a unique key, in the same transaction.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ack_after;
mod agent;
mod clock;
mod config;
mod delivery;
pub mod engine;
#[cfg(feature = "serde")]
mod external;
mod inbox;
pub mod jetstream;
mod outbox;
mod pull;
mod settlement;
mod shared;
mod signal;
mod sink;
mod source;

pub use ack_after::{AckAfter, AckExt, Acking, give_back};
pub use config::PullConfig;
pub use delivery::Delivery;
pub use jetstream::{PullBuilder, PullError};
pub use pull::PullCounts;
pub use sink::{JetStreamSink, Outgoing, SinkBuilder, SinkCounts, SinkError};
pub use source::{PullHandle, PullSource};
