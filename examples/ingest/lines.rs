//! Lines of text from any byte stream, where one bad line costs only itself.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is read, in bytes; an event of the bundled data has about 250.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// Why a line could not be read as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    #[error("longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("not UTF-8 (at byte {0})")]
    NotUtf8(usize),
}

/// A reader of numbered lines that holds at most [`MAX_LINE`] bytes of one.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
    too_long: bool,
    complete: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new(), too_long: false, complete: false }
    }

    /// The next line without its ending, and its number, which starts at 1; `None` at the end. The last line needs no ending.
    ///
    /// Cancel safe: what was read of a line is kept, and the next call goes on with it.
    pub(crate) async fn next(&mut self) -> io::Result<Option<(u64, Result<&str, LineError>)>> {
        if std::mem::take(&mut self.complete) {
            self.line.clear();
            self.too_long = false;
        }
        while !self.complete {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                if self.line.is_empty() && !self.too_long {
                    return Ok(None);
                }
                self.complete = true;
                break;
            }
            let ending = memchr::memchr(b'\n', available);
            let part = &available[..ending.unwrap_or(available.len())];
            if self.line.len() + part.len() > MAX_LINE {
                self.too_long = true;
                self.line.clear();
            }
            if !self.too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(ending.is_some());
            self.reader.consume(used);
            self.complete = ending.is_some();
        }
        self.number += 1;
        Ok(Some((self.number, self.text())))
    }

    fn text(&self) -> Result<&str, LineError> {
        if self.too_long {
            return Err(LineError::TooLong);
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        std::str::from_utf8(line).map_err(|error| LineError::NotUtf8(error.valid_up_to()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, BufReader};

    type Read = Vec<(u64, Result<String, LineError>)>;

    /// Reads `input` through a buffer of `chunk` bytes, so that lines are cut at every place.
    async fn read(input: &[u8], chunk: usize) -> Read {
        let mut lines = Lines::new(BufReader::with_capacity(chunk, input));
        let mut read = Vec::new();
        while let Some((number, line)) = lines.next().await.unwrap() {
            read.push((number, line.map(str::to_owned)));
        }
        assert!(lines.next().await.unwrap().is_none(), "the end stays the end");
        read
    }

    fn text(number: u64, line: &str) -> (u64, Result<String, LineError>) {
        (number, Ok(line.to_owned()))
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_are_cut() {
        let expected = [text(1, "one"), text(2, ""), text(3, "drei ä"), text(4, "last")];
        for chunk in 1..20 {
            assert_eq!(read("one\n\r\ndrei ä\r\nlast".as_bytes(), chunk).await, expected, "chunk {chunk}");
        }
        assert_eq!(read(b"", 8).await, []);
        assert_eq!(read(b"\n", 8).await, [text(1, "")]);
    }

    #[tokio::test]
    async fn a_line_that_is_not_utf8_costs_only_itself() {
        let expected = [text(1, "a"), (2, Err(LineError::NotUtf8(1))), text(3, "c")];
        assert_eq!(read(b"a\nb\xff\nc\n", 3).await, expected);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_costs_only_itself() {
        let longest = "x".repeat(MAX_LINE);
        let input = format!("a\n{longest}x\nb\n{longest}\n{longest}{longest}");
        let expected =
            [text(1, "a"), (2, Err(LineError::TooLong)), text(3, "b"), text(4, &longest), (5, Err(LineError::TooLong))];
        for chunk in [1000, MAX_LINE, 4 * MAX_LINE] {
            assert_eq!(read(input.as_bytes(), chunk).await, expected, "chunk {chunk}");
        }
    }

    #[tokio::test]
    async fn a_line_of_1_gib_is_refused_with_its_number_and_not_kept_in_memory() {
        const GIB: u64 = 1024 * 1024 * 1024;
        let endless = AsyncReadExt::take(tokio::io::repeat(b'x'), GIB);
        let input = AsyncReadExt::chain(&b"a\n"[..], endless).chain(&b"\nb"[..]);
        let mut lines = Lines::new(BufReader::with_capacity(MAX_LINE, input));
        assert_eq!(lines.next().await.unwrap(), Some((1, Ok("a"))));
        assert_eq!(lines.next().await.unwrap(), Some((2, Err(LineError::TooLong))));
        assert!(lines.line.capacity() <= 2 * MAX_LINE);
        assert_eq!(lines.next().await.unwrap(), Some((3, Ok("b"))));
    }

    #[tokio::test]
    async fn a_cancelled_read_goes_on_where_it_was() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(BufReader::new(reader));
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"half").await.unwrap();
        tokio::select! { biased; _ = lines.next() => panic!("the line has no end yet"), () = tokio::task::yield_now() => {} }
        tokio::io::AsyncWriteExt::write_all(&mut writer, b" a line\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some((1, Ok("half a line"))));
    }
}
