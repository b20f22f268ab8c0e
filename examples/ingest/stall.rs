//! A database that stops answering: at the time that `--stall AT,FOR` names, and whenever somebody asks for it.
//!
//! Nothing is pretended: another connection takes the database's write lock and keeps it, as a backup or a forgotten
//! transaction would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::args::Stall;
use crate::database;

/// How often the lock is asked for. The gaps between two transactions of a busy writer are short.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// Stalls that are to come. Dropping this ends the one that goes on.
#[derive(Debug)]
pub(crate) struct Stalling {
    shared: Arc<Shared>,
    toggle: mpsc::Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stalled: AtomicBool,
    ended: AtomicBool,
}

/// Why nothing is waited for any more.
enum Waited {
    Long,
    Toggled,
}

impl Stalling {
    pub(crate) fn start(path: &Path, first: Option<Stall>) -> rusqlite::Result<Self> {
        let connection = database::open(path)?;
        let shared = Arc::new(Shared::default());
        let (toggle, toggled) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        thread::spawn(move || theirs.run(&connection, first, &toggled));
        Ok(Self { shared, toggle })
    }

    /// Begins a stall, or ends the one that goes on.
    pub(crate) fn toggle(&self) {
        // A thread that is gone could not lock the database.
        let _ = self.toggle.send(());
    }

    /// Whether the database does not answer now.
    pub(crate) fn is_on(&self) -> bool {
        self.shared.stalled.load(Ordering::Relaxed)
    }
}

impl Drop for Stalling {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn run(&self, connection: &Connection, first: Option<Stall>, toggled: &Receiver<()>) {
        let (mut before, mut lasting) = first.map(|stall| (stall.at, stall.lasting)).unzip();
        while let Some(waited) = wait(toggled, before.take()) {
            if let Waited::Toggled = waited {
                lasting = None;
            }
            let lock = database::begin(connection, LOOK_AGAIN, || self.ended.load(Ordering::Relaxed));
            let Ok(lock) = lock else { return };
            self.stalled.store(true, Ordering::Relaxed);
            let waited = wait(toggled, lasting.take());
            drop(lock);
            self.stalled.store(false, Ordering::Relaxed);
            if waited.is_none() {
                return;
            }
        }
    }
}

/// Waits for so long, or for ever, or until it is toggled. `None` if there is nobody left to do so.
fn wait(toggled: &Receiver<()>, time: Option<Duration>) -> Option<Waited> {
    let received = match time {
        Some(time) => toggled.recv_timeout(time),
        None => toggled.recv().map_err(RecvTimeoutError::from),
    };
    match received {
        Ok(()) => Some(Waited::Toggled),
        Err(RecvTimeoutError::Timeout) => Some(Waited::Long),
        Err(RecvTimeoutError::Disconnected) => None,
    }
}
