//! A seeded generator, and the distributions of the scenarios.

/// SplitMix64: small, fast, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The `stream`-th generator of a seed. Streams of one seed have nothing in common.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ stream.wrapping_mul(0xAF25_1AF3_B0F0_25B5));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// From 0 (included) to 1 (not).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// How long something takes, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Spread {
    /// Half to one and a half of the mean, evenly.
    Even { mean: f64 },
    /// Bounded Pareto: most are short, and a few are very long.
    Tail { shape: f64, min: f64, max: f64 },
    /// One value, or with probability `rare` the other.
    Two { common: f64, rare: f64, other: f64 },
}

impl Spread {
    pub fn mean(self) -> f64 {
        match self {
            Self::Even { mean } => mean,
            Self::Tail { shape, min, max } => {
                let part = (min / max).powf(shape);
                shape / (shape - 1.0) * (min - max * part) / (1.0 - part)
            }
            Self::Two { common, rare, other } => common + rare * (other - common),
        }
    }

    pub fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::Even { mean } => mean * (0.5 + random.unit()),
            Self::Tail { shape, min, max } => {
                let ratio = (min / max).powf(shape);
                min / (1.0 - random.unit() * (1.0 - ratio)).powf(1.0 / shape)
            }
            Self::Two { common, rare, other } => {
                if random.unit() < rare {
                    other
                } else {
                    common
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(spread: Spread) -> f64 {
        let mut random = Random::new(1, 0);
        (0..200_000).map(|_| spread.draw(&mut random)).sum::<f64>() / 200_000.0
    }

    #[test]
    fn the_spreads_have_the_means_they_are_used_for() {
        for spread in [Spread::Even { mean: 2.0 }, crate::scenario::HEAVY, crate::scenario::BIMODAL] {
            assert!((mean(spread) - 2.0).abs() < 0.05, "{spread:?} {}", mean(spread));
            assert!((spread.mean() - 2.0).abs() < 0.05, "{spread:?} {}", spread.mean());
        }
    }
}
