//! SIGTERM or Ctrl-C: the first one stops the intake, the second one everything.

use std::io;

use backpressure::shutdown::requested;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the process is asked to end. When it is asked again, `abort` is called.
pub(crate) fn on_signal(abort: impl FnOnce() + Send + 'static) -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (first, stop) = (requested()?, token.clone());
    tokio::spawn(async move {
        first.await;
        let second = requested();
        stop.cancel();
        if let Ok(second) = second {
            second.await;
            abort();
        }
    });
    Ok(token)
}
