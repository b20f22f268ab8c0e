//! A text that grows without being moved.

/// The size of the first piece, which is enough for a few parts. Each next one is twice as large as the one before.
const FIRST: usize = 512;

/// The most of a piece: below what an allocator asks the system for each time.
const MOST: usize = 64 * 1024;

/// A text in pieces: where one is full another begins, so every byte stays where it was written.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Pieces {
    /// The end of the text, with room for so many more bytes.
    #[inline]
    pub(super) fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        if self.last.capacity() - self.last.len() < bytes {
            self.begin(bytes);
        }
        &mut self.last
    }

    #[cold]
    fn begin(&mut self, bytes: usize) {
        let size = (2 * self.last.capacity()).clamp(FIRST, MOST).max(bytes);
        let full = std::mem::replace(&mut self.last, Vec::with_capacity(size));
        if !full.is_empty() {
            self.full.push(full);
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<Vec<u8>> {
        self.full.push(self.last);
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_stays_where_it_was_written_and_no_piece_is_empty(
            writes in prop::collection::vec((1..MOST * 2, 0.0..=1.0), 1..40),
        ) {
            let mut pieces = Pieces::default();
            let mut expected = Vec::new();
            let mut places = Vec::new();
            for (n, (room, share)) in writes.into_iter().enumerate() {
                let end = pieces.room(room);
                let begin = end.len();
                let bytes = vec![n as u8; (room as f64 * share) as usize];
                end.extend_from_slice(&bytes);
                places.push((end.as_ptr().addr() + begin, bytes.len()));
                expected.extend(bytes);
            }
            let pieces = pieces.into_vec();
            prop_assert_eq!(pieces.concat(), expected);
            let last = pieces.len() - 1;
            prop_assert!(pieces[..last].iter().all(|piece| !piece.is_empty()));
            for (place, length) in places {
                let is_in = |piece: &Vec<u8>| {
                    let begin = piece.as_ptr().addr();
                    begin <= place && place + length <= begin + piece.len()
                };
                prop_assert!(pieces.iter().any(is_in));
            }
        }
    }
}
