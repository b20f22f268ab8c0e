//! Servers and clients over loopback whose settings can be changed.

use std::future;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::reach::Reach;

/// What is not left as it is. `Default` leaves everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Both socket buffers of both ends, in bytes.
    pub sockets: Option<u32>,
    /// HTTP/1: the most that the sender buffers, in bytes.
    pub buffer: Option<usize>,
    /// HTTP/2: the receiver's window of a stream, and of the connection, in bytes.
    pub windows: Option<(u32, u32)>,
    /// HTTP/2: the receiver's window follows the bandwidth.
    pub adaptive: bool,
}

/// A listener, and how to reach it.
pub async fn listen(reach: &Reach, sockets: Option<u32>) -> Result<TcpListener> {
    let socket = socket(sockets)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(16)?;
    reach.uses(listener.local_addr()?.port());
    Ok(listener)
}

/// A connection, both ends of it.
pub async fn pair(reach: &Reach, sockets: Option<u32>) -> Result<(TcpStream, TcpStream)> {
    let listener = listen(reach, sockets).await?;
    let (accepted, connected) = tokio::join!(listener.accept(), socket(sockets)?.connect(listener.local_addr()?));
    Ok((accepted?.0, connected?))
}

fn socket(buffers: Option<u32>) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffers {
        socket.set_send_buffer_size(bytes)?;
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

/// Serves one connection, for either version of HTTP, and answers with its other end. With no setting changed this is what
/// `axum::serve` does.
pub async fn serve(reach: &Reach, router: Router, settings: Settings) -> Result<TcpStream> {
    let (server, client) = pair(reach, settings.sockets).await?;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if let Some(bytes) = settings.buffer {
        builder.http1().max_buf_size(bytes);
    }
    if let Some((stream, connection)) = settings.windows {
        builder.http2().initial_stream_window_size(stream).initial_connection_window_size(connection);
    }
    if settings.adaptive {
        builder.http2().adaptive_window(true);
    }
    let reach = reach.clone();
    tokio::spawn(async move {
        let service = TowerToHyperService::new(router);
        if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(server), service).await {
            reach.lose(error);
        }
    });
    Ok(client)
}

/// A client of HTTP/1.1 on `io`. Only what the sender buffers matters to it.
pub async fn http1(reach: &Reach, io: TcpStream, settings: Settings) -> Result<http1::SendRequest<Body>> {
    let mut builder = http1::Builder::new();
    if let Some(bytes) = settings.buffer {
        builder.max_buf_size(bytes);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
    watch(reach, connection);
    Ok(sender)
}

/// A client of HTTP/2 on `io`.
pub async fn http2(reach: &Reach, io: TcpStream, settings: Settings) -> Result<http2::SendRequest<Body>> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    if let Some((stream, connection)) = settings.windows {
        builder.initial_stream_window_size(stream).initial_connection_window_size(connection);
    }
    if settings.adaptive {
        builder.adaptive_window(true);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
    watch(reach, connection);
    Ok(sender)
}

fn watch(reach: &Reach, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    let reach = reach.clone();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            reach.lose(format!(
                "{error}: {}",
                std::error::Error::source(&error).map_or_else(String::new, |e| e.to_string())
            ));
        }
    });
}

/// Answers the first GET of `/` with this.
pub fn answers<T: IntoResponse + Send + 'static>(answer: T) -> Router {
    let answer = Arc::new(Mutex::new(Some(answer)));
    Router::new().route(
        "/",
        get(move || future::ready(answer.lock().unwrap().take().map(IntoResponse::into_response).unwrap_or_default())),
    )
}
