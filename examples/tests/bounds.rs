//! Whatever comes from the network is refused before it is too long to hold, and the answer says where it stood.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use futures_util::stream;
use proto::Reading;
use proto::ingest_client::IngestClient;
use support::running::Running;
use support::scratch::Scratch;
use support::serving::{request, serve};
use tonic::Code;
use tonic::transport::Endpoint;

mod proto {
    #![allow(unreachable_pub, missing_docs, dead_code, clippy::all, reason = "generated")]
    tonic::include_proto!("ingest.v1");
}

const LINE: &str = "{\"device\":\"a\",\"at_ms\":1,\"value\":1}\n";
const MIB: usize = 1024 * 1024;

/// Announces a body of 1 GiB and sends no more than the beginning; answers the response.
fn begin(address: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "POST /readings HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", 1024 * MIB).unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn axum_ingest_refuses_a_line_of_1_gib_by_its_number_after_its_first_bytes() {
    let server = serve("axum-ingest");
    let response = begin(&server.address, &format!("{LINE}{LINE}{}", "x".repeat(4097)));
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.ends_with("line 3: longer than 4096 bytes\n"), "{response}");
    assert!(request(&server.address, "POST /readings", LINE).starts_with("HTTP/1.1 202"));
    assert!(
        request(&server.address, "GET /metrics", "")
            .contains("backpressure_item_received_total{stage=\"readings\"} 1\n"),
        "none of those before it is accepted"
    );
}

#[test]
fn axum_ingest_refuses_a_body_of_1_gib_of_short_lines_after_2_mib() {
    let server = serve("axum-ingest");
    let fit = 2 * MIB / LINE.len();
    let response = begin(&server.address, &LINE.repeat(fit + 1));
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.ends_with(&format!("line {}: more than 2097152 bytes of lines\n", fit + 1)), "{response}");
}

#[test]
fn ingest_refuses_a_long_line_by_its_number_and_reads_on() {
    let (scratch, mut command) = (Scratch::new(), Command::new(support::path("ingest")));
    command.args(["--input", "tcp://127.0.0.1:0", "--db"]).arg(scratch.0.join("events.db"));
    let mut ingest = Running::start(&mut command);
    let from = ingest.wait_for("from tcp://");
    let mut connection = TcpStream::connect(from.trim().trim_start_matches("from tcp://")).unwrap();
    let event = r#"{"id":"a","time":1,"lon":0,"lat":0,"type":"earthquake"}"#;
    writeln!(connection, "{event}").unwrap();
    for _ in 0..64 {
        connection.write_all(&[b'x'; MIB]).unwrap();
    }
    writeln!(connection, "\n{event}").unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap(), 0, "it has read to the end");
    if let Some(peak) = ingest.peak_memory_kib() {
        assert!(peak < 64 * 1024, "{peak} KiB");
    }
    if cfg!(unix) {
        ingest.terminate();
        let (code, printed) = ingest.end();
        assert!(printed.contains(":2: longer than 65536 bytes"), "{printed}");
        assert!(printed.contains("lines read                      3"), "{printed}");
        assert_eq!(code, Some(0));
    }
}

#[tokio::test]
async fn tonic_ingest_refuses_a_long_reading_by_its_number() {
    let server = serve("tonic-ingest");
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut client = IngestClient::new(endpoint.connect().await.unwrap());
    let reading = |length| Reading { device: "x".repeat(length), at_ms: 1, value: 1.0 };
    let refused = client.put(reading(5000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let refused = client.put_all(stream::iter([reading(1), reading(1), reading(5000)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().starts_with("reading 3: "), "{refused}");
    assert_eq!(client.put(reading(1)).await.unwrap().into_inner().accepted, 1);
}
