//! Whether the kept table still holds.

use crate::case::{Row, SIZES, Tolerance};
use crate::fate::Fate;
use crate::kept::Kept;
use crate::table;

/// Two runs that share a bound in a library are no further apart than this, nor two items.
const COUNTED: f64 = 0.02;
/// Two kernels are no further apart than this factor.
const KERNEL: f64 = 3.0;

/// What is different, one line each.
pub fn missed(rows: &[Row], kept: &Kept) -> Vec<String> {
    let mut missed = Vec::new();
    for row in rows {
        let Some((fates, state)) = kept.get(row.name) else {
            missed.push(format!("{}: not in the table", row.name));
            continue;
        };
        if table::state(row) != *state {
            missed.push(format!("{}: {:?}, and the table says {state:?}", row.name, table::state(row)));
        }
        for ((seen, fate), size) in row.seen.iter().zip(fates).zip(SIZES) {
            if !agree(&seen.fate, fate, row.tolerance) {
                let why = seen.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
                missed.push(format!(
                    "{}, items of {size} B: {:?}{why}, and the table says {fate:?}",
                    row.name, seen.fate
                ));
            }
        }
    }
    missed
}

fn agree(one: &Fate, other: &Fate, tolerance: Tolerance) -> bool {
    match (one, other) {
        (Fate::Stands(one), Fate::Stands(other)) => near(*one, *other, tolerance),
        // When that is noticed is a matter of the scheduler.
        (Fate::Lost(one), Fate::Lost(other)) => near(*one, *other, Tolerance::Kernel),
        (one, other) => one == other,
    }
}

fn near(one: usize, other: usize, tolerance: Tolerance) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    match tolerance {
        Tolerance::Counted => more - less <= 2 || (more - less) as f64 <= less as f64 * COUNTED,
        Tolerance::Kernel => more as f64 <= less as f64 * KERNEL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_counts_is_the_same_and_what_a_kernel_holds_is_near() {
        use Tolerance::{Counted, Kernel};
        assert!(agree(&Fate::Stands(16), &Fate::Stands(18), Counted));
        assert!(!agree(&Fate::Stands(16), &Fate::Stands(19), Counted));
        assert!(agree(&Fate::Stands(2049), &Fate::Stands(2080), Counted));
        assert!(agree(&Fate::Stands(1000), &Fate::Stands(3000), Kernel));
        assert!(!agree(&Fate::Stands(1000), &Fate::Stands(3001), Kernel));
    }

    #[test]
    fn another_fate_is_never_near() {
        let fates = [Fate::Stands(400_000), Fate::NoBound, Fate::Lost(400_000)];
        for (at, one) in fates.iter().enumerate() {
            for (other_at, other) in fates.iter().enumerate() {
                assert_eq!(agree(one, other, Tolerance::Kernel), at == other_at, "{one:?} {other:?}");
            }
        }
    }
}
