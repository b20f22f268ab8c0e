//! The versions that were measured.

use anyhow::{Context, Result};

/// The crates whose behaviour the table is about.
const MEASURED: [&str; 13] = [
    "axum",
    "futures-channel",
    "futures-util",
    "h2",
    "hyper",
    "hyper-util",
    "reqwest",
    "tokio",
    "tokio-tungstenite",
    "tokio-util",
    "tonic",
    "tower",
    "tower-http",
];
const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");

/// `name version` of each, as the lock file has them; the newest, if there are several.
pub fn measured() -> Result<Vec<String>> {
    let lock = std::fs::read_to_string(LOCK).context("Cargo.lock")?;
    MEASURED.iter().map(|name| version(&lock, name).with_context(|| format!("{name} is not in Cargo.lock"))).collect()
}

fn version(lock: &str, name: &str) -> Option<String> {
    let head = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.rsplit_once(&head)?;
    Some(format!("{name} {}", rest.split_once('"')?.0))
}

/// The kernel, and the range its socket buffers grow in.
pub fn kernel() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let highest = |path| read(path).split_whitespace().last().unwrap_or("unknown").to_owned();
    let release = read("/proc/sys/kernel/osrelease");
    let release = release.split('-').next().unwrap_or_default().trim().to_owned();
    let (receive, send) = (highest("/proc/sys/net/ipv4/tcp_rmem"), highest("/proc/sys/net/ipv4/tcp_wmem"));
    format!("Linux {release}, socket buffers of up to {receive} B (receiving) and {send} B (sending)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_several_versions_counts() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"a\"\nversion = \"0.2.0\"\n";
        assert_eq!(version(lock, "a").as_deref(), Some("a 0.2.0"));
        assert_eq!(version(lock, "b"), None);
        assert!(measured().is_ok());
    }
}
