//! A fast hash of keys, with a secret.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Two words from the randomness of the standard library.
///
/// Whoever does not know them cannot choose keys that collide. The hash is not a cryptographic one: it must not be shown to
/// anybody, or the secret could be worked out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secret {
    start: u64,
    factor: u64,
}

/// An odd number without a pattern: the fraction of the golden ratio.
const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Secret {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self { start: random.hash_one(0), factor: random.hash_one(1) }
    }

    /// 32 bits of the hash.
    #[inline]
    pub(crate) fn hash(self, key: &impl Hash) -> u32 {
        let mut folds = Folds { state: self.start, factor: self.factor };
        key.hash(&mut folds);
        folds.finish() as u32
    }
}

/// Each word is mixed in by a multiplication to 128 bits whose halves are folded into one, as wyhash and foldhash do.
#[derive(Debug)]
struct Folds {
    state: u64,
    factor: u64,
}

impl Folds {
    #[inline]
    const fn fold(&mut self, word: u64, length: u64) {
        self.state = folded(self.state ^ word, self.factor ^ length);
    }
}

impl Hasher for Folds {
    #[inline]
    fn finish(&self) -> u64 {
        folded(self.state, SCATTER)
    }

    /// The last word overlaps the one before. As the length counts, too, no two texts give the same words.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks_exact(8) {
            self.fold(last_word(word), 0);
        }
        self.fold(last_word(bytes), bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.fold(word, 0);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// Both halves of the product in one. A bit of either factor reaches nearly all of its bits; after two of these, all.
#[inline]
const fn folded(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// The last eight bytes, or all if they are fewer.
#[inline]
fn last_word(bytes: &[u8]) -> u64 {
    match bytes.last_chunk() {
        Some(&last) => u64::from_le_bytes(last),
        None => bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Sixteen secrets, the same in each run.
    fn secrets() -> impl Iterator<Item = Secret> {
        let random = |n: u64| folded(folded(n ^ 0x243F_6A88_85A3_08D3, SCATTER), 0x1319_8A2E_0370_7345);
        (0..16).map(move |n| Secret { start: random(2 * n + 1), factor: random(2 * n + 2) })
    }

    /// How many of these keys share their hash with an earlier one, at the worst of the secrets.
    fn collisions<K: Hash>(keys: impl Iterator<Item = K> + Clone) -> usize {
        let of = |secret: Secret| {
            let mut seen = HashSet::new();
            keys.clone().filter(|key| !seen.insert(secret.hash(key))).count()
        };
        secrets().map(of).max().unwrap()
    }

    #[test]
    fn keys_that_resemble_each_other_collide_as_seldom_as_any() {
        // Of 30 000 random hashes of 32 bits, 0.1 pairs are the same; three pairs are once in six thousand times.
        assert!(collisions(0..30_000_u64) <= 3);
        assert!(collisions((0..30_000_u64).map(|n| n << 40)) <= 3);
        assert!(collisions((0..30_000_u64).map(|n| format!("tenant-{n}"))) <= 3);
        assert!(collisions((0..30_000_u32).map(|n| (n % 300, n / 300))) <= 3);
        assert!(collisions((0..30_000_u32).map(|n| [(n % 300) as u16, (n / 300) as u16])) <= 3);
    }

    #[test]
    fn texts_of_the_same_words_do_not_collide() {
        assert_eq!(collisions((0..500).map(|length| vec![0_u8; length])), 0);
        assert_eq!(collisions((0..8).map(|length| "a".repeat(8 + length))), 0);
        assert_eq!(collisions([("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")].into_iter()), 0);
    }

    #[test]
    fn every_bit_of_a_key_reaches_every_bit_of_the_hash() {
        for (secret, bit) in secrets().flat_map(|secret| (0..64).map(move |bit| (secret, bit))) {
            let mut counts = [0; 32];
            for key in 0..1_000_u64 {
                let flip = secret.hash(&key) ^ secret.hash(&(key ^ 1 << bit));
                (0..32).for_each(|i| counts[i] += flip >> i & 1);
            }
            // Half of them, within eight standard deviations.
            assert!(counts.iter().all(|count| (373..=627).contains(count)), "{secret:?}, bit {bit}: {counts:?}");
        }
    }

    #[test]
    fn another_secret_is_another_hash() {
        let (a, b) = (Secret::new(), Secret::new());
        assert!((0..100_u64).any(|key| a.hash(&key) != b.hash(&key)));
    }
}
