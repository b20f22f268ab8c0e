//! A PostgreSQL server of a test's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// Where Debian has the programs, besides the path.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Long enough for a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// The directory of `initdb` and `postgres`, or a sentence that says that there is none.
pub(crate) fn programs() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let found = std::env::split_paths(&path).chain(versions).find(|directory| directory.join("initdb").is_file());
    found.ok_or_else(|| "there is no PostgreSQL here: install the package postgresql".to_owned())
}

/// A server on a free port of loopback. It ends with this, and its files go.
pub(crate) struct Server {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        let programs = programs().expect("asked before");
        let made =
            unprivileged("mktemp").args(["-d", "--tmpdir", "backpressure-postgres-XXXXXX"]).output().expect("mktemp");
        let directory = PathBuf::from(String::from_utf8(made.stdout).expect("a path").trim());
        let mut initdb = unprivileged(programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=quakes", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
        let made = initdb.arg(directory.join("data")).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let process = spawn(&programs, &directory, port);
        let server = Self { programs, directory, port, process };
        drop(server.client());
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://quakes@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A connection, once the server takes one.
    pub(crate) fn client(&self) -> (Runtime, Client) {
        let runtime = Runtime::new().expect("a runtime");
        let since = Instant::now();
        let client = loop {
            match runtime.block_on(tokio_postgres::connect(&self.url(), NoTls)) {
                Ok((client, connection)) => {
                    runtime.spawn(connection);
                    break client;
                }
                Err(error) => assert!(since.elapsed() < LONG, "{error}: {}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        (runtime, client)
    }

    /// A number that is asked for.
    pub(crate) fn number(&self, question: &str) -> i64 {
        let (runtime, client) = self.client();
        runtime.block_on(client.query_one(question, &[])).expect("an answer").get(0)
    }

    /// Ends without a word, as in a power failure, and starts again.
    pub(crate) fn crash(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
        let since = Instant::now();
        // Its children have to notice first.
        loop {
            self.process = spawn(&self.programs, &self.directory, self.port);
            std::thread::sleep(Duration::from_millis(500));
            if self.process.try_wait().expect("it can be asked").is_none() {
                return;
            }
            assert!(since.elapsed() < LONG, "{}", self.log());
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(programs: &Path, directory: &Path, port: u16) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).expect("a log");
    let mut server = unprivileged(programs.join("postgres"));
    server.arg("-D").arg(directory.join("data")).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    server.args(["-c", "unix_socket_directories="]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    server.spawn().expect("postgres runs")
}

/// PostgreSQL refuses to be root, so a program of it runs as somebody else then. It ends with this process.
fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let id = Command::new("id").arg("-u").output().map(|output| output.stdout).unwrap_or_default();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if id.trim_ascii() == b"0" {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program);
    command
}
