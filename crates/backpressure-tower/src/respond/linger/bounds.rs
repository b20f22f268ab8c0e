//! The bounds on reading a shed request.

use std::time::Duration;

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
/// sends anything, and where there is no body. Nor does anything outside of a runtime of tokio, or in one
/// without timers.
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
    pub(super) delay: Duration,
    pub(super) time: Duration,
    pub(super) bytes: u64,
    pub(super) connections: usize,
}

impl Default for Linger {
    fn default() -> Self {
        Self { delay: Duration::from_millis(200), time: Duration::from_secs(2), bytes: 64 << 20, connections: 1024 }
    }
}

impl Linger {
    /// How long the answer waits for the body at most. Default: 200 ms. With 0 it goes out at once.
    ///
    /// Within 200 ms an upload of 50 MiB ended on loopback, and every client used its connection again. Of those answered at once,
    /// from 10 MiB on, curl, Python's `aiohttp` and Node's `fetch` hardly ever did, and hyper's client not always.
    pub const fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// How long the body is read after the answer at most. Default: 2 s. It is the time a client has to read the answer, whatever it
    /// sends meanwhile; one that reads nothing before it has sent everything has to send it within this time and the
    /// [delay](Self::delay).
    pub const fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// How many bytes of a body are read at most, give or take a chunk. Default: 64 MiB, which take a core about 15 ms.
    ///
    /// Clients that read while they send mostly get the answer below that, too: with 1 MiB, and uploads of 10 MiB, curl, hyper and
    /// `aiohttp` always did, Node's `fetch` in 9 of 10 and `undici` in 6 of 10. Those that do not, Python's `http.client` for one,
    /// get it only if this is more than they send.
    pub const fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// How many requests linger at most, of all the services of a layer. Those beyond are answered, and not read. Default: 1024.
    ///
    /// One that lingers takes less than 1 KiB more than an idle connection. While its client sends as fast as it can, hyper's read
    /// buffer takes about 0.5 MiB, unless the server has a smaller `max_buf_size`, and the kernel's takes as much again or more.
    pub const fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }
}

/// Nothing is read of a request that is shed. See [`ShedLayer::no_linger`](crate::ShedLayer::no_linger).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoLinger;
