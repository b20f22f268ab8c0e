//! Before sinks.

use std::convert::identity;

use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};
use tokio_util::sync::PollSender;

use super::{CAPACITY, bounded};
use crate::case::{Case, Held, Setup, Tolerance};
use crate::cases::codec::PIPE;
use crate::cases::websocket::{connect, down, fill};
use crate::http::pair;
use crate::reach::Reach;

pub fn cases() -> Vec<Case> {
    use Tolerance::{Counted, Kernel};
    let case = |name, lies, setting, tolerance, start| Case { name, lies, setting, tolerance, start };
    const SOCKETS: &str = "the capacity, and the socket buffers";
    vec![
        case(
            "`.bounded(16)` before a WebSocket, down",
            "the kernel, tungstenite and the buffer",
            SOCKETS,
            Kernel,
            |reach| down(reach, None, true),
        ),
        case(
            "`.bounded(16)` before a WebSocket, up",
            "the kernel, tungstenite and the buffer",
            SOCKETS,
            Kernel,
            |reach| {
                Box::pin(async move {
                    let mut sink = bounded(&reach, connect(&reach).await?)?;
                    tokio::spawn(async move { fill(&reach, &mut sink, Message::Binary, false).await });
                    Ok(Box::new(()) as _)
                })
            },
        ),
        case(
            "`.bounded(16)` before `FramedWrite`, pipe of 64 KiB",
            "the pipe, the codec and the buffer",
            "its capacity",
            Counted,
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = tokio::io::duplex(PIPE);
                    framed(reach, writer, Box::new(reader))
                })
            },
        ),
        case(
            "`.bounded(16)` before `FramedWrite`, TCP",
            "the kernel, the codec and the buffer",
            SOCKETS,
            Kernel,
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = pair(&reach, None).await?;
                    framed(reach, writer, Box::new(reader))
                })
            },
        ),
        case(
            "`.bounded(16)` before futures mpsc(16)",
            "the channel, and the buffer",
            "both capacities",
            Counted,
            |reach| {
                let (sender, receiver) = futures_channel::mpsc::channel(CAPACITY);
                into_channel(reach, sender, Box::new(receiver))
            },
        ),
        case(
            "`.bounded(16)` before tokio mpsc(16), `PollSender`",
            "the channel, and the buffer",
            "both capacities",
            Counted,
            |reach| {
                let (sender, receiver) = tokio::sync::mpsc::channel(CAPACITY);
                into_channel(reach, PollSender::new(sender), Box::new(receiver))
            },
        ),
    ]
}

fn framed<W: AsyncWrite + Unpin + Send + 'static>(reach: Reach, writer: W, reader: Held) -> anyhow::Result<Held> {
    let mut sink = bounded(&reach, FramedWrite::new(writer, LengthDelimitedCodec::new()))?;
    tokio::spawn(async move { fill(&reach, &mut sink, identity, false).await });
    Ok(reader)
}

fn into_channel<S>(reach: Reach, sender: S, receiver: Held) -> Setup
where
    S: futures_util::Sink<bytes::Bytes, Error: ToString> + Unpin + Send + 'static,
{
    Box::pin(async move {
        let mut sink = bounded(&reach, sender)?;
        tokio::spawn(async move { fill(&reach, &mut sink, identity, false).await });
        Ok(receiver)
    })
}
