//! A server that an example is, and one way to talk to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::running::Running;

/// Starts a server; answers it with its address and, if it has a database, the path of that.
pub(crate) fn serve(name: &str) -> (Running, String, String) {
    let mut server = Running::start(Command::new(super::path(name)).args(["serve", "127.0.0.1:0"]));
    let line = server.wait_for("://");
    let (_, line) = line.trim().split_once("://").expect("a URL");
    let (url, path) = line.split_once(" into ").unwrap_or((line, ""));
    let (address, path) = (url.split('/').next().unwrap_or_default().to_owned(), path.to_owned());
    (server, address, path)
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
