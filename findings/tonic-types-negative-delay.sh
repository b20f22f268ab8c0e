#!/usr/bin/env bash
# tonic-types 0.14.5: a RetryInfo whose delay is negative is read as "retry at once".
#
# Guess before the run: protobuf's Duration may be negative and std's may not, so the delay of such a RetryInfo comes
# out as None, as if the server had named none, or the details fail to decode.
# Seen: it comes out as Some(0 s). A client cannot tell "no delay" from a server whose clock arithmetic went below
# zero, and whoever takes the number as it stands retries without any pause.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
prost = "=0.14.4"
prost-types = "=0.14.4"
tonic = { version = "=0.14.5", default-features = false }
tonic-types = "=0.14.5"
TOML
cat > src/main.rs <<'RS'
use prost::Message;
use tonic_types::StatusExt;

/// google.rpc.RetryInfo
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

fn main() {
    for seconds in [Some(30), Some(-30), None] {
        let info = RetryInfo { retry_delay: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }) };
        let details = tonic_types::pb::Status {
            code: tonic::Code::Unavailable as i32,
            message: String::new(),
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: info.encode_to_vec(),
            }],
        };
        let status = tonic::Status::with_details(tonic::Code::Unavailable, "", details.encode_to_vec().into());
        println!("{seconds:?}: {:?}", status.get_details_retry_info().map(|info| info.retry_delay));
    }
}
RS
seen=$(cargo run -q)
expected='Some(30): Some(Some(30s))
Some(-30): Some(Some(0ns))
None: Some(None)'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
