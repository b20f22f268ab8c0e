//! A directory for files of this process alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Creates the directory `NAME-1` in `parent`, or with the first number that is free.
///
/// A file in it has been made by nobody else: to create or remove one touches no other file, whatever that is called.
pub(crate) fn directory(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let mut number = 1_u64;
    loop {
        let path = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            created => return created.map(|()| path),
        }
    }
}
