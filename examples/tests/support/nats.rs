//! Where a nats-server is.

use std::env;
use std::path::PathBuf;

/// Where the example looks, too.
pub(crate) fn server() -> Option<PathBuf> {
    let named = env::var_os("BACKPRESSURE_NATS_SERVER").unwrap_or_default();
    let on_path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&on_path).chain(["/usr/sbin".into()]).map(|dir| dir.join("nats-server"));
    env::split_paths(&named).chain(dirs).find(|path| path.is_file())
}
