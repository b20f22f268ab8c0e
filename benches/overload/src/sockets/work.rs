//! CPU time, spent.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Turns of [`spin`] in a millisecond of this machine when it has nothing else to do: the most of several tries.
pub fn calibrated() -> u64 {
    const TURNS: u64 = 2_000_000;
    let tries = (0..20).map(|_| {
        let start = Instant::now();
        spin(TURNS);
        start.elapsed()
    });
    let shortest = tries.min().unwrap_or(Duration::from_millis(1)).as_secs_f64();
    (TURNS as f64 / (shortest * 1000.0)) as u64
}

/// A fixed amount of work, however long others keep it from being done.
pub fn spin(turns: u64) {
    let mut x = 1u64;
    for turn in 0..turns {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(turn));
    }
    black_box(x);
}
