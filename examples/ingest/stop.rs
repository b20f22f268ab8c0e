//! Ctrl-C: the first one stops the intake, the second one everything.

use tokio::signal;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by Ctrl-C or, on Unix, by `SIGTERM`. The next signal after that calls `abort`.
pub(crate) fn on_signal(abort: impl FnOnce() + Send + 'static) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        interrupted().await;
        stop.cancel();
        interrupted().await;
        abort();
    });
    token
}

#[cfg(unix)]
async fn interrupted() {
    use signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return ctrl_c().await };
    tokio::select! { () = ctrl_c() => {}, _ = terminated.recv() => {} }
}

#[cfg(not(unix))]
async fn interrupted() {
    ctrl_c().await;
}

/// Without a handler there is nothing to wait for: the system ends the process.
async fn ctrl_c() {
    if signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
