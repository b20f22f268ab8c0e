//! One producer: reads lines, parses them, offers the events to the controller.

use std::sync::Arc;
use std::time::Duration;

use backpressure::{BackpressureController, SendError, State};
use tokio::io::AsyncBufRead;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::lines::Lines;
use crate::pace::Pace;
use crate::tally::Tally;

/// How often an event is offered under `reject` before it is given up.
const OFFERS: u32 = 3;

/// After how many lines without a pause the token is looked at.
const LOOK_EVERY: u64 = 64;

/// What all producers share. A clone is another producer.
#[derive(Debug, Clone)]
pub(crate) struct Producer {
    pub(crate) controller: BackpressureController<Event>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) max_wait: Duration,
    pub(crate) stop: CancellationToken,
}

impl Producer {
    /// Pushes every event of `reader` until it ends, breaks, or the intake stops. `origin` says in the report where a bad
    /// line stood.
    pub(crate) async fn read(&self, reader: impl AsyncBufRead + Unpin, origin: &str) -> std::io::Result<()> {
        let mut lines = Lines::new(reader);
        let mut stopped = std::pin::pin!(self.stop.cancelled());
        for turn in 0_u64.. {
            if turn.is_multiple_of(LOOK_EVERY) && self.stop.is_cancelled() {
                break;
            }
            let next = async {
                self.pace.turn().await;
                lines.next().await
            };
            // Biased, so that the token is looked at only when there is something to wait for: not once a line.
            let line = tokio::select! { biased; line = next => line?, () = &mut stopped => break };
            let Some((number, line)) = line else { break };
            self.tally.line();
            let event = match line {
                Ok(text) if text.trim_ascii().is_empty() => {
                    self.tally.blank();
                    continue;
                }
                Ok(text) => Event::parse(text).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match event {
                Ok(event) => {
                    self.tally.event();
                    if !self.offer(event).await {
                        break;
                    }
                }
                Err(why) => self.tally.bad(origin, number, &why),
            }
        }
        Ok(())
    }

    /// Offers an event until it has a fate; `false` once the controller takes nothing any more.
    ///
    /// Under `block` a push that waited too long comes back and is made again: nothing is lost. Under `reject` the event
    /// comes back at once; it waits until the buffer is no longer full, and is given up after a few offers.
    async fn offer(&self, mut event: Event) -> bool {
        let mut offers = 1;
        loop {
            let Err(refused) = self.controller.push(event).await else { return true };
            if refused.is_closed() {
                self.tally.too_late();
                return false;
            }
            if matches!(refused, SendError::Full(_)) && (offers == OFFERS || !self.eases().await) {
                self.tally.given_up();
                return true;
            }
            event = refused.into_inner();
            offers += 1;
            self.tally.offered_again();
        }
    }

    /// Whether the buffer stops being full before the longest wait is over.
    async fn eases(&self) -> bool {
        timeout(self.max_wait, self.controller.gauge().changed_from(State::Blocked)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backpressure::{BackpressureConfig, Strategy};
    use tokio::io::AsyncWriteExt;

    const LINE: &str = r#"{"id":"a","time":1,"lon":0,"lat":0,"type":"earthquake"}"#;
    const MAX_WAIT: Duration = Duration::from_secs(1);

    /// A producer whose events are flushed one by one, each flush taking so long.
    fn producer(strategy: Strategy, flush: Duration) -> Producer {
        let config = BackpressureConfig::builder().capacity(2).batch_items(1).strategy(strategy).build().unwrap();
        let controller = BackpressureController::builder(config)
            .flush_fn(move |_: Vec<Event>| async move {
                tokio::time::sleep(flush).await;
                Ok::<_, std::io::Error>(())
            })
            .spawn()
            .unwrap();
        Producer {
            controller,
            tally: Arc::default(),
            pace: Arc::new(Pace::flat_out()),
            max_wait: MAX_WAIT,
            stop: CancellationToken::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bad_lines_lose_nothing_else() {
        let producer = producer(Strategy::block(), Duration::ZERO);
        let input = format!("{LINE}\nnot json\n\n \n{LINE}\n{{}}\n{LINE}");
        producer.read(input.as_bytes(), "x").await.unwrap();
        producer.controller.flush().await.unwrap();
        let intake = producer.tally.intake();
        assert_eq!((intake.lines, intake.events, intake.blank, intake.bad), (7, 3, 2, 2));
        assert_eq!(intake.bad_lines.keys().map(|(_, number)| *number).collect::<Vec<_>>(), [2, 6]);
        assert_eq!(producer.controller.snapshot().counts.delivered, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn under_block_an_event_that_waited_too_long_is_offered_until_it_is_taken() {
        let producer = producer(Strategy::Block { max_wait: MAX_WAIT }, 10 * MAX_WAIT);
        producer.read(format!("{LINE}\n").repeat(6).as_bytes(), "x").await.unwrap();
        producer.controller.flush().await.unwrap();
        let (intake, counts) = (producer.tally.intake(), producer.controller.snapshot().counts);
        assert_eq!((counts.delivered, intake.given_up), (6, 0));
        assert!(intake.offered_again > 0);
        assert!(intake.balances(counts.received));
    }

    #[tokio::test(start_paused = true)]
    async fn under_reject_an_event_waits_for_room_and_is_given_up_if_there_is_none() {
        let quick = producer(Strategy::Reject, MAX_WAIT / 10);
        quick.read(format!("{LINE}\n").repeat(10).as_bytes(), "x").await.unwrap();
        let intake = quick.tally.intake();
        assert!(intake.offered_again > 0);
        assert_eq!(intake.given_up, 0);

        let stuck = producer(Strategy::Reject, Duration::from_secs(3600));
        stuck.read(format!("{LINE}\n").repeat(10).as_bytes(), "x").await.unwrap();
        let intake = stuck.tally.intake();
        assert!(intake.given_up >= 7, "one in flight, two queued: {intake:?}");
        assert!(intake.balances(stuck.controller.snapshot().counts.received));
    }

    #[tokio::test(start_paused = true)]
    async fn an_intake_that_has_ended_stops_the_producer() {
        let closed = producer(Strategy::block(), Duration::ZERO);
        let _ = closed.controller.drain(Duration::MAX).await;
        closed.read(format!("{LINE}\n").repeat(3).as_bytes(), "x").await.unwrap();
        assert_eq!((closed.tally.intake().events, closed.tally.intake().too_late), (1, 1));

        let slow = Producer { pace: Arc::new(Pace::new(1e-9)), ..producer(Strategy::block(), Duration::ZERO) };
        let stop = slow.stop.clone();
        let input = format!("{LINE}\n").repeat(3);
        let (read, ()) = tokio::join!(slow.read(input.as_bytes(), "x"), async { stop.cancel() });
        read.unwrap();
        assert!(slow.tally.intake().events <= 1, "a pace of one in thirty years is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_producer_that_never_has_to_wait_stops_within_some_lines() {
        let producer = producer(Strategy::DropNewest, Duration::ZERO);
        let stop = producer.stop.clone();
        let input = format!("{LINE}\n").repeat(10_000);
        let first = input.len() / 100;
        let (mut writer, reader) = tokio::io::duplex(input.len());
        writer.write_all(&input.as_bytes()[..first]).await.unwrap();
        let (read, ()) = tokio::join!(producer.read(tokio::io::BufReader::new(reader), "x"), async {
            writer.write_all(&input.as_bytes()[first..]).await.unwrap();
            stop.cancel();
        });
        read.unwrap();
        let lines = producer.tally.intake().lines;
        assert!((100..=100 + 2 * LOOK_EVERY).contains(&lines), "{lines} of 10,000");
    }
}
