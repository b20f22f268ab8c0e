//! The inputs: a file read several times, standard input, or a port with a producer for each connection.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::fs::File;
use tokio::io::{self, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::args::Input;
use crate::producer::Producer;

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// How long no connection is taken after one could not be, as when the process is out of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// An input that could be opened.
#[derive(Debug)]
pub(crate) enum Source {
    File { path: PathBuf, repeat: u64 },
    Stdin,
    Tcp(TcpListener),
}

impl Source {
    /// A file is opened each time it is read, but one that cannot be read is noticed now.
    pub(crate) async fn open(input: Input, repeat: u64) -> anyhow::Result<Self> {
        let opened = match &input {
            Input::File(path) => File::open(path).await.map(|_| Self::File { path: path.clone(), repeat }),
            Input::Stdin => Ok(Self::Stdin),
            Input::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
        };
        opened.with_context(|| format!("cannot read {input}"))
    }

    /// Reads to the end, or until the producer's token stops it.
    pub(crate) async fn run(self, producer: Producer) -> anyhow::Result<()> {
        let name = self.to_string();
        match self {
            Self::File { path, repeat } => read_file(&path, repeat, &producer).await,
            Self::Stdin => producer.read(chunks(io::stdin()), "stdin").await,
            Self::Tcp(listener) => {
                serve_all(listener, &producer).await;
                Ok(())
            }
        }
        .with_context(|| format!("cannot read {name}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, repeat: 1 } => write!(f, "{}", path.display()),
            Self::File { path, repeat } => write!(f, "{} × {repeat}", path.display()),
            Self::Stdin => f.write_str("standard input"),
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "tcp://{address}"),
                Err(_) => f.write_str("tcp"),
            },
        }
    }
}

fn chunks<R: AsyncRead>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(CHUNK, reader)
}

async fn read_file(path: &Path, repeat: u64, producer: &Producer) -> io::Result<()> {
    let origin = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    for _ in 0..repeat {
        if producer.stop.is_cancelled() {
            break;
        }
        producer.read(chunks(File::open(path).await?), &origin).await?;
    }
    Ok(())
}

/// Takes connections until the intake is stopped, then waits for their producers, who are stopped as well.
async fn serve_all(listener: TcpListener, producer: &Producer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let producer = producer.clone();
                    connections.spawn(async move { serve(stream, &peer.to_string(), &producer).await });
                }
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
            () = producer.stop.cancelled() => break,
        }
    }
    connections.join_all().await;
}

async fn serve(stream: TcpStream, peer: &str, producer: &Producer) {
    if let Err(error) = producer.read(chunks(stream), peer).await {
        producer.tally.broken(peer, &error);
    }
}
