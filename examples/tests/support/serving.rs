//! A server that an example is, and one way to talk to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::running::Running;
use super::scratch::Scratch;

/// A server, which leaves nothing behind.
pub(crate) struct Serving {
    pub(crate) running: Running,
    pub(crate) address: String,
    /// The path of its database, or nothing.
    pub(crate) database: String,
    _files: Scratch,
}

/// Starts an example as a server.
pub(crate) fn serve(name: &str) -> Serving {
    let files = Scratch::new();
    let mut command = Command::new(super::path(name));
    let mut running = Running::start(command.args(["serve", "127.0.0.1:0"]).env("TMPDIR", &files.0));
    let line = running.wait_for("://");
    let (_, line) = line.trim().split_once("://").expect("a URL");
    let (url, path) = line.split_once(" into ").unwrap_or((line, ""));
    let address = url.split('/').next().unwrap_or_default().to_owned();
    Serving { running, address, database: path.to_owned(), _files: files }
}

/// One request on a connection of its own; answers the whole response.
pub(crate) fn request(address: &str, head: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(connection, "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}
