//! `FramedWrite` and `FramedRead`, with a length before each item.

use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::case::{Case, Held, Tolerance};
use crate::http::pair;
use crate::reach::Reach;

pub const PIPE: usize = 64 * 1024;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, tolerance, start| Case { name, lies, setting, tolerance, start };
    use Tolerance::{Counted, Kernel};
    vec![
        case(
            "`FramedWrite::feed` into a pipe of 64 KiB",
            "the pipe, and what is left of the last 8 KiB",
            "the pipe's size",
            Counted,
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = tokio::io::duplex(PIPE);
                    write(reach, writer, false);
                    Ok(Box::new(reader) as _)
                })
            },
        ),
        case("`FramedWrite::send` into a pipe of 64 KiB", "the pipe", "the pipe's size", Counted, |reach| {
            Box::pin(async move {
                let (writer, reader) = tokio::io::duplex(PIPE);
                write(reach, writer, true);
                Ok(Box::new(reader) as _)
            })
        }),
        case(
            "`FramedWrite::feed` to `FramedRead`, pipe of 64 KiB, after one item",
            "the pipe, and 8 KiB in the reader",
            "the pipe's size, `with_capacity`",
            Counted,
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = tokio::io::duplex(PIPE);
                    write(reach, writer, false);
                    read_one(reader).await
                })
            },
        ),
        case(
            "`FramedWrite::feed` to `FramedRead`, TCP, after one item",
            "the kernel, and 8 KiB in the reader",
            "the socket buffers",
            Kernel,
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = pair(&reach, None).await?;
                    write(reach, writer, false);
                    read_one(reader).await
                })
            },
        ),
        case(
            "`FramedWrite::feed` to `FramedRead`, TCP with buffers of 16 KiB, after one item",
            "the kernel, and 8 KiB in the reader",
            "the socket buffers",
            Kernel,
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = pair(&reach, Some(16 * 1024)).await?;
                    write(reach, writer, false);
                    read_one(reader).await
                })
            },
        ),
    ]
}

fn write<W: AsyncWrite + Unpin + Send + 'static>(reach: Reach, writer: W, flushes: bool) {
    tokio::spawn(async move {
        let mut sink = FramedWrite::new(writer, LengthDelimitedCodec::new());
        loop {
            let sent = if flushes { sink.send(reach.item()).await } else { sink.feed(reach.item()).await };
            if let Err(error) = sent {
                return reach.lose(error);
            }
            if reach.count() {
                return;
            }
        }
    });
}

async fn read_one<R: AsyncRead + Unpin + 'static>(reader: R) -> Result<Held> {
    let mut stream = FramedRead::new(reader, LengthDelimitedCodec::new());
    stream.next().await.transpose()?;
    Ok(Box::new(stream))
}
