//! Text between quotes.

/// A text in which quotes, backslashes and ends of lines are escaped.
pub(super) fn escape(text: &mut Vec<u8>, value: &str) {
    // Without an early end, so that it is looked at many bytes at a time.
    let is_plain = value.bytes().fold(true, |plain, byte| plain & !matches!(byte, b'\\' | b'"' | b'\n'));
    if is_plain {
        return text.extend_from_slice(value.as_bytes());
    }
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'"' => text.extend_from_slice(b"\\\""),
            b'\n' => text.extend_from_slice(b"\\n"),
            byte => text.push(byte),
        }
    }
}
