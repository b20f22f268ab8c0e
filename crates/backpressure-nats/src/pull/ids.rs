//! A hash for numbers of messages, which the server gives in order: one multiplication.

use std::hash::{BuildHasherDefault, Hasher};

pub(super) type ById = BuildHasherDefault<IdHasher>;

/// Spreads a number over the high and the low bits, both of which a hash table looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, id: u64) {
        let spread = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(byte));
        }
    }
}
