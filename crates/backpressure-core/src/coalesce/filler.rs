//! Filler: bytes without meaning that make a small frame larger.

/// What a small frame is filled up with, so that it need not wait. For the reader it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filler {
    /// A comment of server-sent events. Each chunk has to be whole events, as those of axum's `Sse` are.
    SseComment,
    /// This byte again and again: `b' '` or `b'\n'` after a whole value of JSON, for a parser that skips white space.
    Byte(u8),
}

impl Filler {
    pub(super) fn fill(self, frame: &mut Vec<u8>, len: usize) {
        let missing = len.saturating_sub(frame.len());
        match self {
            Self::SseComment if missing > 1 => {
                frame.push(b':');
                frame.resize(len - 1, b' ');
                frame.push(b'\n');
            }
            // An empty line by itself is no event.
            Self::SseComment => frame.resize(frame.len() + missing, b'\n'),
            Self::Byte(byte) => frame.resize(frame.len() + missing, byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_of_any_length_is_whole_lines_that_are_no_event() {
        for missing in 0..=256 {
            let mut frame = b"data: a\n\n".to_vec();
            let len = frame.len() + missing;
            Filler::SseComment.fill(&mut frame, len);
            assert_eq!(frame.len(), len);
            let comment = frame.strip_prefix(b"data: a\n\n").unwrap();
            assert!(comment.is_empty() || comment.ends_with(b"\n"));
            let lines = comment.split(|byte| *byte == b'\n');
            assert!({ lines }.all(|line| line.is_empty() || line.starts_with(b":")), "{comment:?}");
        }
    }
}
