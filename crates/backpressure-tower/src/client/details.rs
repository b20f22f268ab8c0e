//! The `RetryInfo` among the details of a gRPC status.
//!
//! Two messages of a handful of fields, read by hand rather than with a protobuf library:
//!
//! ```text
//! Status    { int32 code = 1; string message = 2; repeated Any details = 3; }
//! Any       { string type_url = 1; bytes value = 2; }
//! RetryInfo { Duration retry_delay = 1; }
//! Duration  { int64 seconds = 1; int32 nanos = 2; }
//! ```

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Longer headers are not looked into. Those that pass gRPC's own limit on metadata, 8 KiB, are read.
const LONGEST: usize = 16 * 1024;

/// With padding or without: gRPC allows both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What the value of a `grpc-status-details-bin` header asks for.
pub(super) fn in_header(value: &[u8]) -> Option<Duration> {
    (value.len() <= LONGEST).then(|| BASE64.decode(value).ok()).flatten().and_then(|status| retry_delay(&status))
}

/// What a `google.rpc.Status` asks for. `None` without a `RetryInfo`, and if anything is malformed or negative.
pub(super) fn retry_delay(status: &[u8]) -> Option<Duration> {
    let mut details = Fields(status).filter(|(number, _)| *number == 3);
    let value = details.find_map(|(_, field)| retry_info(field.bytes()?))?;
    let delay = last(value, 1).map_or(Some(&[][..]), Field::bytes)?;
    let number = |field| last(delay, field).map_or(Some(0), Field::number);
    let (seconds, nanos) = (i64::from_ne_bytes(number(1)?.to_ne_bytes()), number(2)?);
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// The value of an `Any`, if it is a `RetryInfo`.
fn retry_info(any: &[u8]) -> Option<&[u8]> {
    let type_url = last(any, 1)?.bytes()?;
    let is_retry_info = type_url.rsplit(|byte| *byte == b'/').next() == Some(b"google.rpc.RetryInfo");
    is_retry_info.then(|| last(any, 2).map_or(Some(&[][..]), Field::bytes)).flatten()
}

/// A field that is there more than once is what the last one says.
fn last(message: &[u8], number: u64) -> Option<Field<'_>> {
    Fields(message).filter(|field| field.0 == number).last().map(|field| field.1)
}

/// The fields of a message with their numbers, up to the first that is malformed.
struct Fields<'a>(&'a [u8]);

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Field<'a> {
    const fn number(self) -> Option<u64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    const fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
    use proptest::prelude::*;
    use prost::Message;
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn details(errors: ErrorDetails) -> Vec<u8> {
        Status::with_error_details(Code::Unavailable, "overloaded", errors).details().to_vec()
    }

    /// As prost would write it, with values that a `Duration` of the standard library cannot have.
    fn written(seconds: i64, nanos: i64) -> Vec<u8> {
        let number = |key: u8, value: i64| {
            let mut bytes = vec![key];
            prost::encoding::encode_varint(value as u64, &mut bytes);
            bytes
        };
        let nested = |key: u8, value: &[u8]| [&[key, value.len() as u8], value].concat();
        let delay = [number(1 << 3, seconds), number(2 << 3, nanos)].concat();
        let any = [
            nested(1 << 3 | 2, b"type.googleapis.com/google.rpc.RetryInfo"),
            nested(2 << 3 | 2, &nested(1 << 3 | 2, &delay)),
        ]
        .concat();
        nested(3 << 3 | 2, &any)
    }

    #[test]
    fn the_retry_info_is_found_among_others_with_padding_and_without() {
        let mut errors = ErrorDetails::with_retry_info(Some(Duration::from_millis(1500)));
        errors
            .set_debug_info(vec!["a".into()], "b")
            .add_help_link("c", "d")
            .add_precondition_failure_violation("e", "f", "g");
        let status = details(errors);
        assert_eq!(retry_delay(&status), Some(Duration::from_millis(1500)));
        for encoded in [BASE64_STANDARD.encode(&status), BASE64_STANDARD_NO_PAD.encode(&status)] {
            assert_eq!(in_header(encoded.as_bytes()), Some(Duration::from_millis(1500)));
        }
        assert_eq!(retry_delay(&details(ErrorDetails::with_retry_info(None))), Some(Duration::ZERO), "an empty one");
        assert_eq!(retry_delay(&details(ErrorDetails::with_debug_info(vec![], "x"))), None);
    }

    #[test]
    fn d6_numbers_out_of_range_are_no_advice() {
        assert_eq!(retry_delay(&written(30, 1)), Some(Duration::new(30, 1)));
        assert_eq!(retry_delay(&written(i64::MAX, 999_999_999)), Some(Duration::new(i64::MAX as u64, 999_999_999)));
        for (seconds, nanos) in [(-1, 0), (i64::MIN, 0), (1, -1), (1, 1_000_000_000), (1, i64::MAX), (0, i64::MIN)] {
            assert_eq!(retry_delay(&written(seconds, nanos)), None, "{seconds} s and {nanos} ns");
        }
    }

    #[test]
    fn what_is_cut_short_too_long_or_no_base64_is_no_advice() {
        let status = written(30, 1);
        (0..status.len()).for_each(|length| assert_eq!(retry_delay(&status[..length]), None, "{length}"));
        let header = BASE64_STANDARD.encode(&status);
        assert_eq!(in_header(format!("{header}, {header}").as_bytes()), None);
        let padded = BASE64_STANDARD.encode([status, vec![0x42; LONGEST]].concat());
        assert_eq!(in_header(padded.as_bytes()), None);
        for garbage in ["", "=", "AAAA", "!!!!", "\u{e4}"] {
            assert_eq!(in_header(garbage.as_bytes()), None, "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn what_prost_writes_is_read(
            message in ".{0,50}",
            delay in (0u64..315_576_000_000, 0u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        ) {
            let errors = ErrorDetails::with_retry_info(Some(delay));
            let status = Status::with_error_details(Code::ResourceExhausted, message, errors);
            prop_assert_eq!(retry_delay(status.details()), Some(delay));
        }

        #[test]
        fn nothing_panics_and_what_is_read_is_what_prost_reads(
            at in any::<prop::sample::Index>(), flipped: u8, noise: Vec<u8>,
        ) {
            retry_delay(&noise);
            in_header(&noise);
            let mut status = written(30, 5);
            let at = at.index(status.len());
            status[at] ^= flipped;
            let ours = retry_delay(&status);
            if let (Some(ours), Ok(theirs)) = (ours, tonic_types::Status::decode(&*status)) {
                let theirs = tonic_types::RpcStatusExt::get_details_retry_info(&theirs);
                if let Some(theirs) = theirs.and_then(|info| info.retry_delay) {
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }
}
