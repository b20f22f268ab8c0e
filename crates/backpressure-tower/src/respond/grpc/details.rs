//! `google.rpc.Status` with a `RetryInfo`, as it goes into `grpc-status-details-bin`.
//!
//! Two messages of a handful of fields, written by hand rather than with a protobuf library:
//!
//! ```text
//! Status    { int32 code = 1; string message = 2; repeated Any details = 3; }
//! Any       { string type_url = 1; bytes value = 2; }
//! RetryInfo { Duration retry_delay = 1; }
//! Duration  { int64 seconds = 1; int32 nanos = 2; }
//! ```

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

const TYPE_URL: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

/// The value of the header.
pub(super) fn encode(code: u8, message: &str, retry_delay: Duration) -> String {
    BASE64_STANDARD_NO_PAD.encode(status(code, message, retry_delay))
}

/// The message itself.
pub(super) fn status(code: u8, message: &str, retry_delay: Duration) -> Vec<u8> {
    let mut duration = Vec::with_capacity(16);
    number(&mut duration, 1, retry_delay.as_secs().min(i64::MAX as u64));
    number(&mut duration, 2, u64::from(retry_delay.subsec_nanos()));
    let mut retry_info = Vec::with_capacity(20);
    bytes(&mut retry_info, 1, &duration);
    let mut any = Vec::with_capacity(72);
    bytes(&mut any, 1, TYPE_URL);
    bytes(&mut any, 2, &retry_info);
    let mut status = Vec::with_capacity(88 + message.len());
    number(&mut status, 1, u64::from(code));
    bytes(&mut status, 2, message.as_bytes());
    bytes(&mut status, 3, &any);
    status
}

/// A field that is a number; one that is zero is left out.
fn number(message: &mut Vec<u8>, field: u64, value: u64) {
    if value > 0 {
        varint(message, field << 3);
        varint(message, value);
    }
}

/// A field that is a string, bytes or a message.
fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

/// Seven bits a byte, the lowest first; the eighth says that there are more.
fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use tonic_types::{RpcStatusExt, Status};

    use super::*;

    proptest! {
        #[test]
        fn prost_reads_what_was_written(
            code in 0u8..17,
            message in ".{0,200}",
            seconds in prop_oneof![Just(0), 0u64..1000, Just(u64::MAX)],
            nanos in prop_oneof![Just(0), 0u32..1_000_000_000],
        ) {
            let encoded = encode(code, &message, Duration::new(seconds, nanos));
            let status = Status::decode(&*BASE64_STANDARD_NO_PAD.decode(encoded).unwrap()).unwrap();
            prop_assert_eq!((status.code, &*status.message), (i32::from(code), &*message));
            let retry_delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
            if seconds < 1000 {
                prop_assert_eq!(retry_delay, Duration::new(seconds, nanos));
            }
        }
    }
}
