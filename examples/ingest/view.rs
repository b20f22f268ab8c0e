//! The live view: ten pictures a second on a terminal; elsewhere plain lines, one a second for each state seen.
//!
//! It has a thread of its own: a terminal that is slow to draw slows nothing else.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use backpressure::{Gauge, State};
use crossterm::style::ResetColor;
use crossterm::{Command, cursor, terminal};
use tokio_util::sync::CancellationToken;

use crate::frame::{Frame, Line};
use crate::rates::Meter;
use crate::tally::Tally;

const TICK: Duration = Duration::from_millis(100);

/// How long a state that has been shown in a plain line is not shown again. A little less than a second, as ticks are late.
const A_SECOND: Duration = Duration::from_millis(950);

/// How many past pictures the history shows: five seconds of them.
const HISTORY: usize = 50;

/// What the view looks at.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) title: String,
    pub(crate) gauge: Gauge,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stalled: Arc<AtomicBool>,
    pub(crate) stop: CancellationToken,
}

/// The running view.
#[derive(Debug)]
pub(crate) struct View {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl View {
    pub(crate) fn start(watched: Watched) -> Self {
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            if io::stdout().is_terminal() {
                let mut screen = Screen::new();
                watched.watch(&ended, |frame, _| screen.draw(&frame.lines()));
            } else {
                let mut shown = [None; State::ALL.len()];
                watched.watch(&ended, |frame, last| {
                    let shown = &mut shown[frame.snapshot.state as usize];
                    if last || shown.is_none_or(|shown| frame.elapsed.saturating_sub(shown) >= A_SECOND) {
                        *shown = Some(frame.elapsed);
                        print(&(frame.plain() + "\n"));
                    }
                });
            }
        });
        Self { end, thread }
    }

    /// Shows the last picture and gives the terminal back.
    pub(crate) fn finish(self) {
        drop(self.end);
        // A view that panicked has given the terminal back; the run goes on without it.
        let _ = self.thread.join();
    }

    /// Gives the terminal back before the process ends at once.
    pub(crate) fn abandon() {
        if io::stdout().is_terminal() {
            print(&(ansi(cursor::Show) + &ansi(ResetColor) + "\n"));
        }
    }
}

impl Watched {
    /// Shows a picture every tick, and a last one at the end. Says of each whether it is the last.
    fn watch(&self, ended: &mpsc::Receiver<()>, mut show: impl FnMut(&Frame<'_>, bool)) {
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut history: Vec<(f64, State)> = Vec::new();
        loop {
            let over = ended.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout);
            let snapshot = self.gauge.snapshot();
            let now = Instant::now();
            if history.len() == HISTORY {
                history.remove(0);
            }
            history.push((snapshot.utilization, snapshot.state));
            let intake = self.tally.lines_and_bad();
            let frame = Frame {
                title: &self.title,
                elapsed: now - start,
                snapshot: &snapshot,
                rates: meter.rates(now, &snapshot.counts),
                history: &history,
                lines: intake.0,
                bad_lines: intake.1,
                stalled: self.stalled.load(Ordering::Relaxed),
                stopping: self.stop.is_cancelled(),
            };
            show(&frame, over);
            if over {
                return;
            }
        }
    }
}

/// Lines at the bottom of the terminal that are drawn over again and again. The cursor rests below them, hidden.
struct Screen {
    height: u16,
}

impl Screen {
    fn new() -> Self {
        print(&ansi(cursor::Hide));
        Self { height: 0 }
    }

    fn draw(&mut self, lines: &[Line]) {
        let known = terminal::size().ok().filter(|&(columns, rows)| columns > 0 && rows > 0);
        let (columns, rows) = known.unwrap_or((80, 24));
        let mut picture = ansi(terminal::BeginSynchronizedUpdate);
        if self.height > 0 {
            picture += &ansi(cursor::MoveToPreviousLine(self.height));
        }
        self.height = 0;
        for line in lines.iter().take(usize::from(rows.saturating_sub(1))) {
            draw_line(&mut picture, line, usize::from(columns));
            picture += &ansi(terminal::Clear(terminal::ClearType::UntilNewLine));
            picture.push('\n');
            self.height += 1;
        }
        picture += &ansi(terminal::Clear(terminal::ClearType::FromCursorDown));
        picture += &ansi(terminal::EndSynchronizedUpdate);
        print(&picture);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print(&ansi(cursor::Show));
    }
}

/// Writes as much of the line as is not wider than the terminal.
fn draw_line(picture: &mut String, line: &Line, mut columns: usize) {
    for piece in line {
        let fits: String = piece.content().chars().take(columns).collect();
        columns -= fits.chars().count();
        // Writing into a string does not fail.
        let _ = write!(picture, "{}", piece.style().apply(fits));
    }
}

fn ansi(command: impl Command) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = command.write_ansi(&mut text);
    text
}

/// Prints, unless nobody reads any more.
pub(crate) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
