//! Publishing: into streams that are full, that forget, and that are away for a while.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy};
use backpressure_core::State;
use backpressure_nats::{JetStreamSink, Outgoing, PullConfig, PullSource};
use futures_util::{FutureExt, SinkExt};

use crate::scenarios::world::{MS, PATIENCE, World, until};
use crate::server::Flesh;

const SUBJECT: &str = "sink.x";

fn numbered(number: u64) -> Outgoing {
    Outgoing::new(SUBJECT, number.to_string()).id(&number.to_string())
}

async fn stream(world: &Flesh, config: stream::Config) -> Result<stream::Stream> {
    let config = stream::Config { name: "SINK".into(), subjects: vec![SUBJECT.into()], ..config };
    Ok(world.jetstream().create_stream(config).await?)
}

/// A work queue of ten: the sink is blocked when it is full, and everything arrives once as fast as it is worked off.
pub(crate) async fn a_full_stream_blocks_the_sink(world: &Flesh) -> Result<()> {
    let bounded = stream::Config {
        max_messages: 10,
        discard: DiscardPolicy::New,
        retention: RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    let stream = stream(world, bounded).await?;
    let mut sink = JetStreamSink::builder(world.jetstream()).unconfirmed(4).build()?;
    let (gauge, mut next) = (sink.gauge(), 0);
    until("the sink is blocked", || {
        while next < 300 && sink.feed(numbered(next)).now_or_never().is_some_and(|fed| fed.is_ok()) {
            next += 1;
        }
        let is_blocked = gauge.state() == State::Blocked && next >= 10;
        async move { Ok(is_blocked) }
    })
    .await?;
    ensure!((10..=14).contains(&next), "{next} were taken for ten places and four under way");
    let config =
        async_nats::jetstream::consumer::pull::Config { durable_name: Some("sink".into()), ..Default::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut source = PullSource::from_consumer(world.client(), consumer).config(PullConfig::new()).spawn().await?;
    let reader = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 300 {
            let delivery = tokio::time::timeout(PATIENCE, source.next()).await?.context("the source has ended")?;
            seen.push(String::from_utf8(delivery.payload.to_vec())?.parse::<u64>()?);
            delivery.ack();
        }
        anyhow::Ok(seen)
    });
    for number in next..300 {
        tokio::time::timeout(PATIENCE, sink.feed(numbered(number))).await??;
    }
    tokio::time::timeout(PATIENCE, sink.close()).await??;
    let mut seen = reader.await??;
    seen.sort_unstable();
    ensure!(seen == (0..300).collect::<Vec<_>>(), "each once, but {seen:?}");
    let counts = sink.counts();
    ensure!(counts.confirmed == 300 && counts.refusals > 0 && counts.balances(), "{counts:?}");
    Ok(())
}

/// A stream that forgets the oldest takes everything; what it forgot is counted.
pub(crate) async fn what_a_stream_throws_away_is_counted(world: &Flesh) -> Result<()> {
    let forgetful = stream::Config { max_messages: 25, discard: DiscardPolicy::Old, ..stream::Config::default() };
    stream(world, forgetful).await?;
    let builder = JetStreamSink::builder(world.jetstream()).count_discarded("SINK", 50 * MS);
    let mut sink = builder.build()?;
    sink.send(numbered(0)).await?;
    // The first look has to come before anything is thrown away.
    let _ = tokio::time::timeout(500 * MS, std::future::pending::<()>()).await;
    for number in 1..200 {
        sink.feed(numbered(number)).await?;
    }
    sink.flush().await?;
    until("the losses are seen", || {
        let _ = sink.flush().now_or_never();
        let discarded = sink.counts().discarded;
        async move { Ok(discarded == 175) }
    })
    .await
    .with_context(|| format!("{:?}", sink.counts()))?;
    ensure!(sink.counts().confirmed == 200);
    Ok(())
}

/// The server is killed while messages are under way: they are published again, and are there once.
pub(crate) async fn a_sink_survives_a_restart(world: &Flesh) -> Result<()> {
    let mut stream = stream(world, stream::Config::default()).await?;
    let jetstream = async_nats::jetstream::ContextBuilder::new().timeout(500 * MS).ack_timeout(500 * MS);
    let mut sink = JetStreamSink::builder(jetstream.build(world.client())).unconfirmed(50).build()?;
    let feed = async {
        for number in 0..3_000 {
            tokio::time::timeout(PATIENCE, sink.feed(numbered(number))).await??;
            tokio::task::yield_now().await;
        }
        tokio::time::timeout(PATIENCE, sink.close()).await??;
        anyhow::Ok(sink.counts())
    };
    let restart = async {
        until("some are there", || async { Ok(world.messages("SINK").await? >= 300) }).await?;
        world.restart(300 * MS).await
    };
    let (counts, restarted) = tokio::join!(feed, restart);
    restarted?;
    let counts = counts?;
    ensure!(counts.confirmed == 3_000 && counts.failed == 0, "{counts:?}");
    let stored = stream.info().await?.state.messages;
    ensure!(stored == 3_000, "{stored} are stored: {counts:?}");
    Ok(())
}

/// A message that the server would never take comes back with the error, and the sink goes on.
pub(crate) async fn a_message_that_is_too_large_comes_back(world: &Flesh) -> Result<()> {
    stream(world, stream::Config { max_message_size: 100, ..stream::Config::default() }).await?;
    let mut sink = JetStreamSink::builder(world.jetstream()).patience(Duration::from_secs(1)).build()?;
    let error = sink.send(Outgoing::new(SUBJECT, vec![0; 1_000])).await.err().context("it was not to be taken")?;
    ensure!(error.message.payload().len() == 1_000);
    sink.send(numbered(1)).await?;
    let counts = sink.counts();
    ensure!((counts.failed, counts.confirmed) == (1, 1) && counts.balances(), "{counts:?}");
    Ok(())
}
