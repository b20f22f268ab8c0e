//! WebSockets: axum as the server, tungstenite as the client.

use anyhow::Result;
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use bytes::Bytes;
use futures_util::{Sink, SinkExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as ClientMessage;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::front;
use crate::case::{Case, Setup, Tolerance};
use crate::http::{Settings, serve};
use crate::reach::Reach;

const KERNEL: &str = "the kernel";

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Kernel, start };
    vec![
        case("WebSocket down, axum", KERNEL, "socket buffers", |reach| down(reach, None, false)),
        case("WebSocket down, axum, socket buffers of 16 KiB", "the kernel", "socket buffers", |reach| {
            down(reach, Some(16 * 1024), false)
        }),
        case("WebSocket up, tungstenite", KERNEL, "socket buffers", |reach| up(reach, true)),
        case("WebSocket up, tungstenite, `feed`", KERNEL, "socket buffers", |reach| up(reach, false)),
    ]
}

/// With one of our buffers before the socket, if that is wanted.
pub fn down(reach: Reach, sockets: Option<u32>, is_bounded: bool) -> Setup {
    Box::pin(async move {
        let source = reach.clone();
        let upgrade = async move |upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(move |mut socket: WebSocket| async move {
                if is_bounded {
                    let Ok(mut sink) = front::bounded(&source, socket) else { return source.lose("no sink") };
                    fill(&source, &mut sink, Message::Binary, false).await;
                } else {
                    fill(&source, &mut socket, Message::Binary, true).await;
                }
            })
        };
        let settings = Settings { sockets, ..Settings::default() };
        let io = serve(&reach, Router::new().route("/", any(upgrade)), settings).await?;
        let (client, _) = client_async("ws://a/", io).await?;
        Ok(Box::new(client) as _)
    })
}

fn up(reach: Reach, flushes: bool) -> Setup {
    Box::pin(async move {
        let mut client = connect(&reach).await?;
        tokio::spawn(async move { fill(&reach, &mut client, ClientMessage::Binary, flushes).await });
        Ok(Box::new(()) as _)
    })
}

/// A client whose server never reads.
pub async fn connect(reach: &Reach) -> Result<WebSocketStream<TcpStream>> {
    let upgrade = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(|socket: WebSocket| async move {
            std::future::pending::<()>().await;
            drop(socket);
        })
    };
    let io = serve(reach, Router::new().route("/", any(upgrade)), Settings::default()).await?;
    Ok(client_async("ws://a/", io).await?.0)
}

pub async fn fill<S, M>(reach: &Reach, sink: &mut S, message: fn(Bytes) -> M, flushes: bool)
where
    S: Sink<M> + Unpin,
    S::Error: ToString,
{
    loop {
        let message = message(reach.item());
        let sent = if flushes { sink.send(message).await } else { sink.feed(message).await };
        if let Err(error) = sent {
            return reach.lose(error);
        }
        if reach.count() {
            return;
        }
    }
}
