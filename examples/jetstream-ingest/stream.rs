//! The stream, and the consumer that all workers share.

use std::time::Duration;

use anyhow::Result;
use async_nats::Client;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{self, Context, stream};

pub(crate) const STREAM: &str = "backpressure-earthquakes";
pub(crate) const CONSUMER: &str = "writers";
pub(crate) const SUBJECT: &str = "backpressure.earthquakes";

/// How long the server waits for an answer. Short, so that a killed worker is not missed for long.
const ACK_WAIT: Duration = Duration::from_secs(3);

/// An empty stream with its consumer. One of a former run is gone.
pub(crate) async fn create(client: &Client, ack_pending: i64) -> Result<Context> {
    let jetstream = jetstream::new(client.clone());
    let _ = jetstream.delete_stream(STREAM).await;
    let config = stream::Config { name: STREAM.into(), subjects: vec![SUBJECT.into()], ..stream::Config::default() };
    jetstream.create_stream(config).await?;
    renew_consumer(&jetstream, ack_pending).await?;
    Ok(jetstream)
}

/// A consumer that begins with the first message. A former one is gone.
pub(crate) async fn renew_consumer(jetstream: &Context, ack_pending: i64) -> Result<()> {
    let stream = jetstream.get_stream(STREAM).await?;
    let _ = stream.delete_consumer(CONSUMER).await;
    let config = pull::Config {
        durable_name: Some(CONSUMER.into()),
        ack_wait: ACK_WAIT,
        max_ack_pending: ack_pending,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await?;
    Ok(())
}

pub(crate) async fn consumer(jetstream: &Context) -> Result<PullConsumer> {
    Ok(jetstream.get_consumer_from_stream(CONSUMER, STREAM).await?)
}
