//! A bounded channel with a policy and a pressure signal.
//!
//! ```text
//!  Sender ─┐ send · send_many · reserve · Sink  ┌──────────────────┐   recv · recv_many · Stream
//!  Sender ─┼───────────────────────────────────▶│ capacity, weight │──────────────────────────▶ Receiver
//!  Sender ─┘◀─ waits · item back · drop counted │ strategy         │
//!                                               └────────┬─────────┘
//!                                                      Gauge: Normal · Elevated · Critical · Blocked · Draining
//! ```
//!
//! Many producers, one consumer. The bound is strict: queued plus reserved items never exceed it, and a
//! slot is free the moment its item is received. A full channel does what its
//! [`Strategy`](backpressure_core::Strategy) says. Every item's fate is counted. An item that does not
//! enter comes back to its producer or goes to a hook.
//!
//! * Waiting producers are served first come, first served; nobody overtakes them. With weights, a light
//!   item therefore waits behind a heavy one.
//! * A producer or consumer is woken only when what it waits for has happened. A consumer may ask to be
//!   woken by a [whole batch](Demand).
//! * A plain thread sends with [`blocking_send`](Sender::blocking_send), in the same queue.
//! * Dropping a future at any point loses no slot, no wake-up and no accepted item.
//! * Hooks, wakers and destructors of items run outside the lock and may use the channel.
//!
//! The channel runs on any executor. Inside a tokio runtime (feature `tokio`, on by default) tokio's
//! clock times the longest wait of [`Strategy::Block`](backpressure_core::Strategy::Block); elsewhere a
//! timer thread does, which starts with the first wait. The thread also serves tokio runtimes without
//! `enable_time`. Tokio does not tell which those are, so the first such wait makes a timer, catches the
//! panic and falls back; the panic's message is printed. (A program that aborts on panic aborts.)
//!
//! ```
//! use backpressure_channel::channel;
//! use backpressure_core::{BackpressureConfig, State};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (tx, mut rx) = channel(BackpressureConfig::builder().capacity(4).build()?);
//! let gauge = rx.gauge();
//!
//! let producer = tokio::spawn(async move {
//!     for n in 0..100 {
//!         tx.send(n).await?; // waits while the channel is full
//!     }
//!     Ok::<_, backpressure_channel::SendError<i32>>(())
//! });
//! let mut sum = 0;
//! while let Some(n) = rx.recv().await {
//!     sum += n;
//! }
//! producer.await??;
//! assert_eq!(sum, 4950);
//! assert_eq!(gauge.state(), State::Draining);
//! assert_eq!(gauge.snapshot().counts.delivered, 100);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backlog;
mod blocking;
mod budget;
mod builder;
mod claim;
mod demand;
mod error;
mod expiry;
mod lease;
mod lending;
mod looks;
mod many;
mod offers;
mod parker;
mod permit;
mod place;
mod receiver;
mod reconfigure;
mod rules;
mod send;
mod send_many;
mod sender;
mod shared;
mod slot;
mod unsent;
mod wait_queue;
mod wait_timeout;

pub use backlog::Backlog;
pub use builder::{Builder, channel};
pub use demand::Demand;
pub use error::{SendError, Sent, SentMany, SinkError};
pub use permit::{Permit, Reserve};
pub use receiver::{Receiver, Recv, RecvMany};
pub use reconfigure::ChannelHandle;
pub use send::Send;
pub use send_many::SendMany;
pub use sender::Sender;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
