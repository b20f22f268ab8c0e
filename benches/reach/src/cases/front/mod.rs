//! Our own adapters in front of transports.

mod bodies;
mod grpc;
mod lossy;
mod memory;
mod sinks;

use anyhow::Result;
use backpressure_core::{BackpressureConfig, ConfigError, Strategy};
use backpressure_sink::{BackpressureSink, BackpressureSinkExt};
use backpressure_stream::BackpressureStreamExt;
use bytes::Bytes;
use futures_util::{Sink, Stream};

use crate::case::{Case, Setup};
use crate::reach::{Reach, Source};

const CAPACITY: usize = 16;
const FRAME: usize = 16 * 1024;

pub fn cases() -> Vec<Case> {
    [bodies::cases(), grpc::cases(), sinks::cases(), memory::cases(), lossy::cases()].into_iter().flatten().collect()
}

fn config(strategy: Strategy) -> Result<BackpressureConfig, ConfigError> {
    BackpressureConfig::builder().capacity(CAPACITY).strategy(strategy).build()
}

/// The producer behind `.backpressure(16).spawn()`, for a transport to take from.
fn behind(reach: Reach, source: Source, start: impl FnOnce(Reach, Blocking) -> Setup + 'static) -> Setup {
    Box::pin(async move {
        let stream = source.backpressure(config(Strategy::block_forever())?).spawn();
        reach.shows(stream.gauge());
        start(reach, Box::pin(stream)).await
    })
}

type Blocking = std::pin::Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// A sink behind `.bounded(16)`.
pub fn bounded<S: Sink<M>, M>(reach: &Reach, sink: S) -> Result<BackpressureSink<S, M>> {
    let sink = sink.bounded(config(Strategy::block_forever())?);
    reach.shows(sink.gauge());
    Ok(sink)
}

#[cfg(test)]
mod tests {
    use backpressure_core::State;

    use super::*;
    use crate::case::Row;
    use crate::fate::Fate;

    /// Over real sockets, and for each of them: it stands still, and says so.
    #[test]
    fn a_buffer_that_loses_nothing_is_blocked_while_the_transport_behind_it_is_full() {
        let blocking = cases().into_iter().filter(|case| {
            let is_ours =
                ["`.backpressure(16).spawn()`", "`.bounded(16)`"].iter().any(|ours| case.name.starts_with(ours));
            is_ours && !case.name.contains("drop-oldest")
        });
        let (mut seen, mut wrong) = (0, Vec::new());
        for case in blocking {
            let row = Row::measure_at(&case, &[1024]).unwrap();
            let [it] = &row.seen[..] else { unreachable!() };
            if !matches!(it.fate, Fate::Stands(items) if items >= CAPACITY) || it.state != Some(State::Blocked) {
                wrong.push(format!("{}: {it:?}", case.name));
            }
            seen += 1;
        }
        assert!(seen >= 20 && wrong.is_empty(), "{wrong:#?}");
    }
}
