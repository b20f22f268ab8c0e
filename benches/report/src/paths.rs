//! Where things are.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this package lies two below the root")
}

pub fn readme() -> PathBuf {
    root().join("README.md")
}

/// Where reports go.
pub fn output() -> PathBuf {
    root().join("target/bench")
}

/// Where saved numbers are.
pub fn saved(name: &str) -> PathBuf {
    output().join("saved").join(format!("{name}.json"))
}
