//! The signals that end a process.

use std::fmt;
#[cfg(feature = "signal")]
use std::future::Future;
#[cfg(feature = "signal")]
use std::io;

/// What asked for the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// SIGINT, or Ctrl-C.
    Interrupt,
    /// SIGTERM, which systemd, Docker and Kubernetes send.
    Terminate,
}

/// As the operating system calls it.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Waits until the process is asked to end: by SIGTERM or SIGINT, or by Ctrl-C where there are no signals.
///
/// The handlers are there when this returns, so call it before the service takes its first request. From then on neither signal
/// ends the process by itself. A program that wants to end at once when it is asked again waits a second time, beside its
/// shutdown.
///
/// # Errors
///
/// If a handler cannot be installed.
///
/// # Panics
///
/// Outside a tokio runtime with `enable_io`.
#[cfg(feature = "signal")]
pub fn requested() -> io::Result<impl Future<Output = Signal> + Send> {
    listen()
}

#[cfg(all(unix, feature = "signal"))]
fn listen() -> io::Result<impl Future<Output = Signal> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(std::future::poll_fn(move |cx| {
        if terminate.poll_recv(cx).is_ready() {
            return std::task::Poll::Ready(Signal::Terminate);
        }
        interrupt.poll_recv(cx).map(|_| Signal::Interrupt)
    }))
}

#[cfg(all(windows, feature = "signal"))]
fn listen() -> io::Result<impl Future<Output = Signal> + Send> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(std::future::poll_fn(move |cx| interrupt.poll_recv(cx).map(|_| Signal::Interrupt)))
}
