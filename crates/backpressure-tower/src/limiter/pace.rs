//! How many of the calls are timed.

use backpressure_core::limit::Window;

/// At most one call in so many is timed.
const MOST_UNTIMED: usize = 64;

/// How closely the calls are to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The limit is far away: it is enough to know how long calls usually take.
    Calm,
    /// The limit is felt, or may soon be.
    Close,
    /// The window has only begun, and it is too early to tell.
    Hurried,
}

impl Pace {
    /// After this window, in which there was this much room.
    pub(super) fn of(window: &Window, room: usize) -> Self {
        if Self::is_close(window.peak, room, window.saturated) { Self::Close } else { Self::Calm }
    }

    /// Whether the limit is near.
    pub(super) const fn is_close(in_flight: usize, room: usize, is_felt: bool) -> bool {
        is_felt || in_flight.saturating_mul(2) > room
    }

    /// Up to so many calls a second, every call is timed.
    const fn timed_per_second(self) -> f64 {
        match self {
            Self::Calm => 512.0,
            Self::Close => 4096.0,
            Self::Hurried => 16_384.0,
        }
    }
}

/// One call in so many is timed, a power of two, where so many are answered per second.
pub(super) fn every(throughput: f64, pace: Pace) -> usize {
    ((throughput / pace.timed_per_second()).ceil() as usize).clamp(1, MOST_UNTIMED).next_power_of_two()
}

/// Whether the call of this number is timed where one in so many is, a power of two.
///
/// Multiples of the golden ratio are spread evenly, and have no period: of two kinds of calls that take turns both are timed.
#[inline]
pub(super) const fn is_one_of(number: u64, every: usize) -> bool {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) <= u64::MAX >> every.trailing_zeros()
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    #[test]
    fn calls_are_timed_one_by_one_unless_they_are_many() {
        for (throughput, calm, close) in [
            (0.0, 1, 1),
            (512.0, 1, 1),
            (513.0, 2, 1),
            (4096.0, 8, 1),
            (4097.0, 16, 2),
            (60_000.0, 64, 16),
            (1e9, 64, 64),
            (f64::INFINITY, 64, 64),
            (f64::NAN, 1, 1),
        ] {
            assert_eq!((every(throughput, Pace::Calm), every(throughput, Pace::Close)), (calm, close), "{throughput}");
        }
    }

    #[test]
    fn calls_that_take_turns_are_timed_alike_and_evenly() {
        for every in [1, 2, 8, 64] {
            for turns in 1..=5 {
                for turn in 0..turns {
                    let timed: Vec<u64> =
                        (0..20_000).map(|n| n * turns + turn).filter(|&n| is_one_of(n, every)).collect();
                    let share = timed.len() as f64 * every as f64 / 20_000.0;
                    assert!((0.9..1.1).contains(&share), "{every} {turn} of {turns}: {share}");
                }
            }
            let timed: Vec<u64> = (0..20_000).filter(|&n| is_one_of(n, every)).collect();
            let longest = timed.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(longest <= Some(3 * every as u64), "{every}: {longest:?}");
        }
    }

    #[test]
    fn a_limit_that_is_felt_or_half_used_is_near() {
        assert!(Pace::is_close(0, 16, true) && Pace::is_close(9, 16, false) && !Pace::is_close(8, 16, false));
        assert!(Pace::is_close(1, 1, false), "there is nothing in between");
    }
}
