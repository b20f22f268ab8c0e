//! A limit in 19 bits: exact for small values, rounded down for large ones.

/// How many bits a limit takes.
pub(super) const BITS: u32 = 19;

/// The largest limit there is room for. A pointer of 32 bits has less.
pub(super) const MOST: usize = if usize::BITS > 32 { (1_u64 << 32) as usize } else { usize::MAX };

/// Limits below this stand for themselves. The others are a number of 15 bits, of which the first is not written down,
/// and how far it is shifted.
const EXACT: u64 = 1 << (BITS - 1);
const DIGITS: u32 = 14;
const FIRST_DIGIT: u64 = 1 << DIGITS;

/// The limit, brought into 1 to [`MOST`] and rounded down by less than 1 in 16 384.
pub(super) fn pack(limit: usize) -> u64 {
    let limit = limit.clamp(1, MOST) as u64;
    if limit < EXACT {
        return limit;
    }
    let shift = limit.ilog2() - DIGITS;
    EXACT | u64::from(shift - shift_of(EXACT)) << DIGITS | (limit >> shift) & (FIRST_DIGIT - 1)
}

/// What was [packed](pack).
#[inline]
pub(super) const fn unpack(packed: u64) -> usize {
    if packed < EXACT {
        return packed as usize;
    }
    let shift = ((packed ^ EXACT) >> DIGITS) as u32 + shift_of(EXACT);
    ((FIRST_DIGIT | packed & (FIRST_DIGIT - 1)) << shift) as usize
}

const fn shift_of(limit: u64) -> u32 {
    limit.ilog2() - DIGITS
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_of_up_to_a_quarter_of_a_million_are_exact() {
        assert!((1..1 << 18).all(|limit| unpack(pack(limit)) == limit));
    }

    #[test]
    fn d6_the_ends_are_in_the_range() {
        assert_eq!([0, 1, MOST, usize::MAX].map(|limit| unpack(pack(limit))), [1, 1, MOST, MOST]);
        assert!(pack(MOST) < 1 << BITS);
    }

    proptest! {
        #[test]
        fn s4_a_limit_is_never_rounded_up_and_hardly_down(limit in 1..MOST, other in 1..MOST) {
            let rounded = unpack(pack(limit));
            prop_assert!(rounded <= limit && limit - rounded <= limit >> DIGITS);
            prop_assert_eq!(pack(rounded), pack(limit));
            prop_assert_eq!(pack(limit).cmp(&pack(other)), rounded.cmp(&unpack(pack(other))), "in their order");
        }
    }
}
