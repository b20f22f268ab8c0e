//! A peer that speaks HTTP/2 byte by byte, and clients that talk to it over a pipe.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use http::uri::PathAndQuery;
use http_body::Body;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tonic::client::{Grpc, GrpcService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// What is sent once the first request is there, and whether the connection ends then.
#[derive(Clone)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    closes: bool,
}

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header that is in no table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

impl Answer {
    const fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, closes: false }
    }

    pub(crate) fn go_away(last_stream: u32, code: u32) -> Self {
        Self::of(frame(7, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat()))
    }

    pub(crate) fn reset(code: u32) -> Self {
        Self::of(frame(3, 0, 1, &code.to_be_bytes()))
    }

    /// A head that does not end. The client takes offence, and closes the connection with ENHANCE_YOUR_CALM of its own.
    pub(crate) fn endless_head() -> Self {
        let head = frame(HEADERS, 0, 1, &literal(":status", "200"));
        Self::of([head, frame(CONTINUATION, 0, 1, &[]).repeat(1000)].concat())
    }

    /// A response to the first request, with a body of text.
    pub(crate) fn text(status: u16, headers: &[(&str, &str)]) -> Self {
        let headers: Vec<u8> = headers.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let head = [literal(":status", &status.to_string()), headers].concat();
        let head = frame(HEADERS, END_HEADERS, 1, &head);
        Self::of([head, frame(0, END_STREAM, 1, b"<h1>No healthy upstream</h1>")].concat())
    }

    /// A message of gRPC: zero.
    pub(crate) fn message() -> Self {
        let head = [literal(":status", "200"), literal("content-type", "application/grpc")].concat();
        let end = literal("grpc-status", "0");
        let message = frame(0, 0, 1, &[0; 5]);
        let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &end);
        Self::of([frame(HEADERS, END_HEADERS, 1, &head), message, trailers].concat())
    }

    /// Only a part of it.
    pub(crate) fn cut(mut self) -> Self {
        self.bytes.truncate(5);
        self
    }

    pub(crate) const fn and_close(mut self) -> Self {
        self.closes = true;
        self
    }
}

async fn serve(mut io: DuplexStream, answer: Answer) -> io::Result<()> {
    io.write_all(&frame(4, 0, 0, &[])).await?;
    io.read_exact(&mut [0; 24]).await?;
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        io.read_exact(&mut vec![0; length as usize]).await?;
        if head[3] == HEADERS {
            io.write_all(&answer.bytes).await?;
            if answer.closes {
                return Ok(());
            }
        }
    }
}

/// A connection to a peer that gives this answer.
pub(crate) fn connect(answer: Answer) -> TokioIo<DuplexStream> {
    let (here, there) = duplex(1 << 16);
    tokio::spawn(serve(there, answer));
    TokioIo::new(here)
}

/// A channel each of whose connections gets the next of these answers. When there are none left, connections are refused.
pub(crate) fn channel(answers: impl IntoIterator<Item = Answer>) -> Channel {
    let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
    let connector = service_fn(move |_| {
        let answer = answers.lock().unwrap().pop_front();
        async { answer.map(connect).ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused)) }
    });
    Endpoint::from_static("http://peer").connect_with_connector_lazy(connector)
}

/// Calls as the code does that is generated for a service.
pub(crate) async fn call<S>(service: S) -> Result<tonic::Response<u64>, Status>
where
    S: GrpcService<tonic::body::Body>,
    S::ResponseBody: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let mut client = Grpc::new(service);
    client.ready().await.map_err(|error| Status::unknown(error.into().to_string()))?;
    let path = PathAndQuery::from_static("/test.Play/Act");
    client.unary(Request::new(0), path, ProstCodec::<u64, u64>::default()).await
}
