//! `--stall AT,FOR`: the database stops answering.
//!
//! Nothing is pretended: another connection takes the database's write lock and keeps it, as a backup or a forgotten
//! transaction would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::args::Stall;
use crate::database;

/// How often the lock is asked for. The gaps between two transactions of a busy writer are short.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// A stall that is to come, goes on or is over. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Stalling {
    stalled: Arc<AtomicBool>,
    _end: mpsc::Sender<()>,
}

impl Stalling {
    pub(crate) fn start(path: &Path, stall: Stall) -> rusqlite::Result<Self> {
        let connection = database::open(path)?;
        let stalled = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel::<()>();
        let flag = Arc::clone(&stalled);
        let waits = move |time: Duration| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        thread::spawn(move || {
            if !waits(stall.at) {
                return;
            }
            if let Ok(lock) = database::begin(&connection, LOOK_AGAIN, || !waits(Duration::ZERO)) {
                flag.store(true, Ordering::Relaxed);
                waits(stall.lasting);
                drop(lock);
                flag.store(false, Ordering::Relaxed);
            }
        });
        Ok(Self { stalled, _end: end })
    }

    /// Whether the database does not answer now.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stalled)
    }
}
