//! A connection that breaks at the worst moment.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// As PostgreSQL's client sends it.
const COMMIT: &[u8] = b"COMMIT\0";

/// One commit in so many meets a broken connection, by turns before and after it has got through.
const EVERY: usize = 3;

/// Stands before a server of PostgreSQL and breaks connections at commits.
#[derive(Debug)]
pub(crate) struct Cutter {
    port: u16,
    commits: Arc<AtomicUsize>,
}

impl Cutter {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let commits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&commits);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Without a server the client is hung up on.
                let _ = join(client, server, &counter);
            }
        });
        Self { port, commits }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Commits that got through, and whose answers did not.
    pub(crate) fn answers_lost(&self) -> usize {
        (self.commits.load(Ordering::SeqCst) / EVERY).div_ceil(2)
    }

    /// Commits that did not get through.
    pub(crate) fn commits_lost(&self) -> usize {
        self.commits.load(Ordering::SeqCst) / EVERY / 2
    }
}

fn join(client: TcpStream, server: u16, commits: &Arc<AtomicUsize>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    let is_cut = Arc::new(AtomicBool::new(false));
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let (commits, cuts) = (Arc::clone(commits), Arc::clone(&is_cut));
    thread::spawn(move || {
        pass(&mut from_client, &mut to_server, |sent| {
            if !sent.windows(COMMIT.len()).any(|words| words == COMMIT) {
                return true;
            }
            let commit = commits.fetch_add(1, Ordering::SeqCst) + 1;
            let is_cut = commit.is_multiple_of(EVERY);
            cuts.store(is_cut, Ordering::SeqCst);
            !(is_cut && (commit / EVERY).is_multiple_of(2))
        });
    });
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || pass(&mut from_server, &mut to_client, |_| !is_cut.load(Ordering::SeqCst)));
    Ok(())
}

/// Passes on what comes, until something may not pass: then both ends are closed.
fn pass(from: &mut TcpStream, to: &mut TcpStream, mut may_pass: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !may_pass(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
