#!/usr/bin/env bash
# tonic 0.14.5: whether `Status::try_from_error` understands an HTTP/2 error depends on the feature `server`.
#
# Guess before the run: both a client-only tonic and one with `server` turn REFUSED_STREAM into Unavailable and
# ENHANCE_YOUR_CALM into ResourceExhausted, as the gRPC mapping of HTTP/2 error codes says, since it is clients that
# receive these errors.
# Seen: with `server` yes. Without it (features `channel` only) the error is not recognised; it comes back as no
# status at all, and a client reports Unknown. A service that drops `server` from its feature list to build faster
# loses the difference between a call that is safe to repeat and one that is not, with no line of its code changed;
# and any other crate in the build that asks for `server` brings it back.
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

[features]
server = ["tonic/server"]

[dependencies]
h2 = "=0.4.20"
tonic = { version = "=0.14.5", default-features = false, features = ["channel"] }
TOML
cat > src/main.rs <<'RS'
fn main() {
    for reason in [h2::Reason::REFUSED_STREAM, h2::Reason::ENHANCE_YOUR_CALM, h2::Reason::CANCEL] {
        let error: Box<dyn std::error::Error + Send + Sync> = Box::new(h2::Error::from(reason));
        match tonic::Status::try_from_error(error) {
            Ok(status) => println!("{reason:?}: {:?}", status.code()),
            Err(error) => println!("{reason:?}: no status, reported as {:?}", tonic::Status::from_error(error).code()),
        }
    }
}
RS
expect() {
    if [ "$1" != "$2" ]; then
        printf 'changed. expected:\n%s\nseen:\n%s\n' "$1" "$2" >&2
        exit 1
    fi
    printf '%s\n' "$2"
}
echo '-- features: channel'
expect 'REFUSED_STREAM: no status, reported as Unknown
ENHANCE_YOUR_CALM: no status, reported as Unknown
CANCEL: no status, reported as Unknown' "$(cargo run -q)"
echo '-- features: channel, server'
expect 'REFUSED_STREAM: Unavailable
ENHANCE_YOUR_CALM: ResourceExhausted
CANCEL: Cancelled' "$(cargo run -q --features server)"
echo 'as recorded'
