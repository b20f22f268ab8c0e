//! Publishing the earthquakes, again and again.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::Context;
use backpressure_nats::{JetStreamSink, Outgoing};
use futures_util::SinkExt;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::stream::SUBJECT;

const EARTHQUAKES: &str = include_str!("../data/earthquakes.ndjson");

/// How many records a second are published while workers are killed.
const PACE: u64 = 2_000;

pub(crate) type Lines = std::iter::Cycle<std::str::Lines<'static>>;

/// The records, without an end.
pub(crate) fn lines() -> Lines {
    EARTHQUAKES.lines().cycle()
}

/// Publishes; every record has an id, so one that is published again is stored once.
pub(crate) struct Publisher {
    sink: JetStreamSink,
    lines: Lines,
    published: u64,
}

impl Publisher {
    pub(crate) fn new(jetstream: Context) -> Result<Self> {
        let sink = JetStreamSink::builder(jetstream).build()?;
        Ok(Self { sink, lines: lines(), published: 0 })
    }

    pub(crate) async fn publish(&mut self, records: u64) -> Result<()> {
        for line in self.lines.by_ref().take(usize::try_from(records)?) {
            let message = Outgoing::new(SUBJECT, line).id(&self.published.to_string());
            self.sink.feed(message).await?;
            self.published += 1;
        }
        Ok(self.sink.flush().await?)
    }

    /// Publishes at a moderate pace until then.
    pub(crate) async fn keep_on(&mut self, until: Instant) -> Result<()> {
        let mut ticks = interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while Instant::now() < until {
            ticks.tick().await;
            self.publish(PACE / 10).await?;
        }
        Ok(())
    }

    /// What the server has confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.sink.counts().confirmed
    }
}
