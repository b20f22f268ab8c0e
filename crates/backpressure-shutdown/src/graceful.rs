//! The shutdown of a whole service: from the signal to the report.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use backpressure_core::Drained;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::report::{Cause, End, ShutdownReport};
use crate::servers::{Boxed, Servers};
use crate::shutdown::Shutdown;

type Drain = Box<dyn FnOnce(Duration) -> Boxed<End> + Send>;
type Hook = Box<dyn FnOnce() + Send>;

/// The shutdown of a whole service, in the order that loses nothing, under one deadline and with one report.
///
/// ```text
/// the service runs      requests           servers              buffers         report
/// ├────────────────────┼──────────────────┼────────────────────┼───────────────┤
///                      SIGTERM, SIGINT:   `closing` resolves,   what was
///                      new ones are       connections end       accepted is
///                      refused                                  delivered
/// ```
///
/// Servers are futures that [`run`](Self::run) polls from the beginning, and beside the requests stage: a request that is in
/// flight when the signal comes is still answered. Several parts of one kind are drained in the order in which they were named, so
/// name the one in front first. Each stage is told its share of the time that is left: see [`Shutdown`].
///
/// What a drain answers implements [`Drained`], as the reports of a `ShedLayer`, a controller and a batcher do.
///
/// ```
/// use std::time::Duration;
/// use backpressure_shutdown::GracefulShutdown;
/// # use backpressure_core::Drained;
/// # struct Report;
/// # impl std::fmt::Display for Report {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("7 delivered") }
/// # }
/// # impl Drained for Report { fn is_complete(&self) -> bool { true } }
/// # struct Part;
/// # impl Part { async fn drain(&self, _: Duration) -> Report { Report } }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// # let (shed, controller) = (Part, Part);
/// # let asked_to_end = tokio::time::sleep(Duration::from_secs(60)); // tidy: paused clock
/// // With the feature `signal`: `GracefulShutdown::on_signal(Duration::from_secs(25))?`.
/// let graceful = GracefulShutdown::when(Duration::from_secs(25), asked_to_end);
/// // With axum: `axum::serve(listener, router).with_graceful_shutdown(graceful.closing())`.
/// let closing = graceful.closing();
/// let server = async move { closing.await; Ok::<_, std::io::Error>(()) };
/// let report = graceful
///     .requests("requests", move |time| async move { shed.drain(time).await })
///     .server("connections", server)
///     .buffer("readings", move |time| async move { controller.drain(time).await })
///     .run()
///     .await;
/// assert!(report.is_complete());
/// println!("{report}");
/// # }
/// ```
#[must_use = "nothing is served and nothing is drained before it runs"]
pub struct GracefulShutdown {
    patience: Duration,
    trigger: Boxed<Cause>,
    close: watch::Sender<bool>,
    requests: Vec<(&'static str, Drain)>,
    servers: Vec<(&'static str, Boxed<End>)>,
    buffers: Vec<(&'static str, Drain)>,
    again: Option<Hook>,
}

impl GracefulShutdown {
    /// A shutdown that begins with SIGTERM or SIGINT, or with Ctrl-C where there are no signals, and takes at most `patience`.
    ///
    /// The handlers are there when this returns: see [`requested`](crate::requested). Patience is best a little less than the
    /// grace period of whoever kills the process afterwards.
    ///
    /// # Errors
    ///
    /// If a handler cannot be installed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io`.
    #[cfg(feature = "signal")]
    pub fn on_signal(patience: Duration) -> std::io::Result<Self> {
        let requested = crate::requested()?;
        Ok(Self::new(patience, Box::pin(async { Cause::Signal(requested.await) })))
    }

    /// A shutdown that begins when `trigger` resolves.
    pub fn when(patience: Duration, trigger: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::new(patience, Box::pin(async { (trigger.await, Cause::Asked).1 }))
    }

    fn new(patience: Duration, trigger: Boxed<Cause>) -> Self {
        let close = watch::Sender::new(false);
        Self { patience, trigger, close, requests: Vec::new(), servers: Vec::new(), buffers: Vec::new(), again: None }
    }

    /// Resolves when servers are to take no more connections and end those that they have: after the requests stage. For axum's
    /// `with_graceful_shutdown` and tonic's `serve_with_shutdown`.
    ///
    /// It also resolves if the shutdown is dropped.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut closed = self.close.subscribe();
        async move {
            // An error means that the shutdown is gone.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }

    /// What refuses new requests and waits for those in flight: the drain of a `ShedLayer`.
    pub fn requests<F, D>(mut self, name: &'static str, drain: impl FnOnce(Duration) -> F + Send + 'static) -> Self
    where
        F: Future<Output = D> + Send + 'static,
        D: Drained,
    {
        self.requests.push((name, stage(drain)));
        self
    }

    /// What serves until [`closing`](Self::closing) resolves. One that ends sooner, be it with an error, begins the shutdown.
    pub fn server<E: fmt::Display>(
        mut self,
        name: &'static str,
        server: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        self.servers.push((name, Box::pin(async { End::of_server(server.await) })));
        self
    }

    /// What delivers everything that was accepted: the drain of a controller.
    pub fn buffer<F, D>(mut self, name: &'static str, drain: impl FnOnce(Duration) -> F + Send + 'static) -> Self
    where
        F: Future<Output = D> + Send + 'static,
        D: Drained,
    {
        self.buffers.push((name, stage(drain)));
        self
    }

    /// Calls `hook` if another signal comes during the shutdown, such as for ending the process at once. By default another signal
    /// changes nothing. It has no effect on a shutdown that [no signal](Self::when) begins.
    #[cfg(feature = "signal")]
    pub fn on_second_signal(mut self, hook: impl FnOnce() + Send + 'static) -> Self {
        self.again = Some(Box::new(hook));
        self
    }

    /// Serves until the shutdown begins, and drains.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the servers and the stage that is under way; the stages after it never begin.
    pub async fn run(self) -> ShutdownReport {
        let Self { patience, trigger, close, requests, servers, buffers, again } = self;
        let (server_names, servers): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
        let mut servers = Servers::new(servers);
        let cause = match servers.beside_until_one_ends(trigger).await {
            Ok(cause) => cause,
            Err(ended) => Cause::Ended(server_names[ended]),
        };
        let mut again = second(&cause, again);

        let names = requests.iter().map(|(name, _)| *name);
        let names = names.chain(server_names).chain(buffers.iter().map(|(name, _)| *name));
        let mut shutdown = Shutdown::new(patience, names);
        let mut ends = Vec::new();
        for (_, drain) in requests {
            let end = shutdown.stage(|time| beside(&mut again, servers.beside(drain(time)))).await;
            ends.push(end);
        }
        close.send_replace(true);
        for server in 0..servers.len() {
            let ended = shutdown.stage(|time| beside(&mut again, timeout(time, servers.end_of(server)))).await;
            ends.push(ended.unwrap_or_else(|_| End::too_late()));
        }
        // One that goes on after its time may not go on to fill the buffers.
        drop(servers);
        for (_, drain) in buffers {
            let end = shutdown.stage(|time| beside(&mut again, drain(time))).await;
            ends.push(end);
        }
        ShutdownReport::new(cause, &shutdown, ends)
    }
}

fn stage<F, D>(drain: impl FnOnce(Duration) -> F + Send + 'static) -> Drain
where
    F: Future<Output = D> + Send + 'static,
    D: Drained,
{
    Box::new(move |time| {
        let drain = drain(time);
        Box::pin(async { End::of(&drain.await) })
    })
}

/// What is to be done at the second signal, if anything.
fn second(cause: &Cause, hook: Option<Hook>) -> Option<Boxed<()>> {
    #[cfg(feature = "signal")]
    if let (Cause::Signal(_), Some(hook)) = (cause, hook) {
        // If it cannot be waited for, the deadline still holds.
        let requested = crate::requested().ok()?;
        return Some(Box::pin(async {
            requested.await;
            hook();
        }));
    }
    #[cfg(not(feature = "signal"))]
    let _ = (cause, hook);
    None
}

/// Polls `again`, if it is still to come, beside `main`.
async fn beside<F: Future>(again: &mut Option<Boxed<()>>, main: F) -> F::Output {
    let mut main = std::pin::pin!(main);
    poll_fn(|cx| {
        if again.as_mut().is_some_and(|again| Pin::as_mut(again).poll(cx).is_ready()) {
            *again = None;
        }
        main.as_mut().poll(cx)
    })
    .await
}

impl fmt::Debug for GracefulShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulShutdown").field("patience", &self.patience).finish_non_exhaustive()
    }
}
