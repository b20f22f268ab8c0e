//! Reading on when a request is shed, so that its client gets the answer.

mod lingers;
mod rest;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use lingers::Lingers;

use super::Http;
use crate::shed::ShedLayer;

/// How long a server reads on when it sheds a request whose body is still on its way.
///
/// Over HTTP/1 an answer alone is not enough. A server that answers and does not read the rest of the body has to close the
/// connection; the kernel then resets it under a client that is still writing, and many clients report a broken pipe instead of the
/// 503. So the body of a request that is shed is read and thrown away:
///
/// 1. The answer waits for the body to end, for a short [delay](Self::delay) at most. A body that has arrived by then, as nearly all
///    do, leaves a connection that every client goes on using.
/// 2. Then the answer goes out, and a task of its own reads on, until the body ends or the [time](Self::time) is over. At the end of
///    the body the connection is kept, otherwise it is closed.
///
/// After so many [bytes](Self::bytes) no more is read: the answer goes out at once, and the client, which cannot send on, still has
/// the time to read it.
///
/// A request that lingers holds no slot, is not in flight, and is not waited for by a
/// [drain](crate::ShedHandle::drain). [`ShedHandle::lingering`](crate::ShedHandle::lingering) counts them.
///
/// Nothing lingers where nothing needs to: over HTTP/2, after `Expect: 100-continue`, whose client waits for the answer before it
/// sends anything, and where there is no body. Nor does anything outside of a runtime of tokio; its time has to be enabled.
///
/// ```
/// use std::time::Duration;
/// use backpressure_tower::{Linger, ShedLayer};
///
/// let linger = Linger::default().time(Duration::from_secs(5)).bytes(1 << 20);
/// let layer = ShedLayer::adaptive().into_http().linger(linger);
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it does nothing until a layer is given it"]
pub struct Linger {
    delay: Duration,
    time: Duration,
    bytes: u64,
    connections: usize,
}

impl Default for Linger {
    fn default() -> Self {
        Self { delay: Duration::from_millis(200), time: Duration::from_secs(2), bytes: 64 << 20, connections: 1024 }
    }
}

impl Linger {
    /// How long the answer waits for the body at most. Default: 200 ms. With 0 it goes out at once.
    pub const fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// How long the body is read after the answer at most. Default: 2 s.
    pub const fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// How many bytes of a body are read at most, give or take a chunk. Default: 64 MiB.
    pub const fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// How many requests linger at most, of all the services of a layer. Those beyond are answered, and not read. Default: 1024.
    pub const fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }
}

/// Nothing is read of a request that is shed. See [`ShedLayer::no_linger`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoLinger;

impl<C, L> ShedLayer<C, Http<L>> {
    /// How long a server reads on when it sheds a request over HTTP/1. Default: see [`Linger`].
    pub fn linger(self, linger: Linger) -> ShedLayer<C, Http<Linger>> {
        self.respond_with(Http { linger })
    }

    /// Reads nothing of a request that is shed: it is dropped at once. For requests without a body of type
    /// [`Body`](http_body::Body) `+ Send + 'static`, and for servers that see to it themselves.
    pub fn no_linger(self) -> ShedLayer<C, Http<NoLinger>> {
        self.respond_with(Http { linger: NoLinger })
    }
}
