//! The live view: on a terminal ten pictures a second and keys that steer the run; elsewhere plain lines, one a second for each
//! state seen.
//!
//! It has a thread of its own: a terminal that is slow to draw slows nothing else.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use backpressure::State;
use backpressure_metrics::Registry;
use tokio_util::sync::CancellationToken;

use crate::frame::Frame;
use crate::history::{History, Sample};
use crate::keys::Wish;
use crate::pace::Pace;
use crate::rates::{Meter, lost};
use crate::screen::{self, Screen};
use crate::stall::Stalling;
use crate::watched::Seen;

const TICK: Duration = Duration::from_millis(100);

/// How long a state that has been shown in a plain line is not shown again. A little less than a second, as ticks are late.
const A_SECOND: Duration = Duration::from_millis(950);

/// What the view looks at, and what its keys steer.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) title: String,
    pub(crate) registry: Registry,
    pub(crate) pace: Arc<Pace>,
    pub(crate) stalling: Option<Arc<Stalling>>,
    pub(crate) stop: CancellationToken,
}

/// The running view.
#[derive(Debug)]
pub(crate) struct View {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl View {
    /// `abort` is called when a key asks for the end once more.
    pub(crate) fn start(watched: Watched, is_live: bool, abort: impl Fn() + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || match is_live.then(Screen::open).transpose() {
            Ok(Some(screen)) => watched.live(screen, &ended, abort),
            // A terminal that cannot be drawn on can still be written to.
            Ok(None) | Err(_) => watched.plain(&ended),
        });
        Self { end, thread }
    }

    /// Shows the last picture and gives the terminal back.
    pub(crate) fn finish(self) {
        drop(self.end);
        // A view that panicked has given the terminal back; the run goes on without it.
        let _ = self.thread.join();
    }
}

impl Watched {
    fn live(&self, mut screen: Screen, ended: &mpsc::Receiver<()>, abort: impl Fn()) {
        let mut last = String::new();
        let wait = || {
            let next = Instant::now() + TICK;
            loop {
                if ended.try_recv() != Err(TryRecvError::Empty) {
                    return true;
                }
                let left = next.saturating_duration_since(Instant::now());
                match screen::wish(left) {
                    Some(wish) => self.grant(wish, &abort),
                    None if left.is_zero() => return false,
                    None => {}
                }
            }
        };
        self.watch(wait, |frame, is_last| {
            screen.draw(frame);
            if is_last {
                last = screen.print_of(frame);
            }
        });
        drop(screen);
        print(&last);
    }

    fn grant(&self, wish: Wish, abort: impl Fn()) {
        match (wish, &self.stalling) {
            (Wish::Stall, Some(stalling)) => stalling.toggle(),
            (Wish::Stall, None) => {}
            (Wish::Faster, _) => self.pace.speed_up(),
            (Wish::Slower, _) => self.pace.slow_down(),
            (Wish::Quit, _) if self.stop.is_cancelled() => abort(),
            (Wish::Quit, _) => self.stop.cancel(),
        }
    }

    fn plain(&self, ended: &mpsc::Receiver<()>) {
        let mut shown = [None; State::ALL.len()];
        let wait = || ended.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout);
        self.watch(wait, |frame, is_last| {
            let shown = &mut shown[frame.snapshot.state as usize];
            if is_last || shown.is_none_or(|shown| frame.elapsed.saturating_sub(shown) >= A_SECOND) {
                *shown = Some(frame.elapsed);
                print(&(frame.plain() + "\n"));
            }
        });
    }

    /// Shows a picture after every wait, which answers whether the run is over, and says of each whether it is the last.
    fn watch(&self, mut wait: impl FnMut() -> bool, mut show: impl FnMut(&Frame<'_>, bool)) {
        let start = Instant::now();
        let mut looked = start;
        let mut before = Seen::at(start, &self.registry).buffer.counts;
        let (mut meter, mut history) = (Meter::default(), History::default());
        loop {
            let is_last = wait();
            let now = Instant::now();
            let seen = Seen::at(now, &self.registry);
            let stalled = self.stalling.as_ref().is_some_and(|stalling| stalling.is_on());
            let (snapshot, counts) = (&seen.buffer, seen.buffer.counts);
            history.add(Sample {
                lasting: now - looked,
                utilization: snapshot.utilization,
                state: snapshot.state,
                received: counts.received - before.received,
                delivered: counts.delivered - before.delivered,
                lost: lost(&counts) - lost(&before),
                stalled,
            });
            (looked, before) = (now, counts);
            let frame = Frame {
                title: &self.title,
                elapsed: now - start,
                snapshot,
                work: seen.work,
                rates: meter.rates(now, &counts),
                history: &history,
                pace: self.pace.per_second(),
                lines: seen.lines,
                bad_lines: seen.bad_lines,
                stalled,
                stopping: self.stop.is_cancelled(),
            };
            show(&frame, is_last);
            if is_last {
                return;
            }
        }
    }
}

/// Prints, unless nobody reads any more.
pub(crate) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
