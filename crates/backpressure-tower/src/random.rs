//! Cheap shared random numbers, for jitter and throttling only.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64: a counter, scrambled. Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) struct Random(AtomicU64);

/// The odd number nearest to 2⁶⁴ / φ.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// Numbers that differ from process to process, so that many clients do not act as one.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Uniform in 0..1, without the 1.
    pub(crate) fn next_f64(&self) -> f64 {
        let mut z = self.0.fetch_add(STRIDE, Ordering::Relaxed).wrapping_add(STRIDE);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits: as many as an f64 holds.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference_implementation() {
        // The first output for seed 0 is 0xe220a8397b1dcdaf.
        let expected = (0xe220_a839_7b1d_cdaf_u64 >> 11) as f64 / (1u64 << 53) as f64;
        assert_eq!(Random::seeded(0).next_f64(), expected);
    }

    #[test]
    fn they_fill_the_unit_interval_evenly() {
        let random = Random::seeded(7);
        let mut tenths = [0u32; 10];
        for _ in 0..100_000 {
            let number = random.next_f64();
            assert!((0.0..1.0).contains(&number));
            tenths[(number * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)), "{tenths:?}");
    }

    #[test]
    fn two_generators_go_different_ways() {
        assert_ne!(Random::new().next_f64(), Random::new().next_f64());
    }
}
