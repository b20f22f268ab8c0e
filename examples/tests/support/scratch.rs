//! A place for the files of a test.

#[path = "../../common/fresh.rs"]
mod fresh;

use std::path::PathBuf;

/// A directory for the files of a test, removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(fresh::directory(&std::env::temp_dir(), "backpressure-ingest-test").unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
