//! How evenly something is shared.

/// Jain's index: 1 if all have the same, one over their number if one of them has everything, 0 if nobody has anything.
/// `None` for fewer than two.
///
/// R. K. Jain, D.-M. W. Chiu and W. R. Hawe, *A Quantitative Measure of Fairness and Discrimination for Resource Allocation
/// in Shared Computer Systems*, DEC-TR-301, 1984.
pub fn fairness(shares: &[u64]) -> Option<f64> {
    if shares.len() < 2 {
        return None;
    }
    let (sum, squares) =
        shares.iter().map(|&share| share as f64).fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    Some(if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_if_all_have_the_same_and_a_fourth_if_one_of_four_has_everything() {
        assert_eq!([&[7, 7, 7, 7][..], &[0, 9, 0, 0], &[0, 0]].map(fairness), [1.0, 0.25, 0.0].map(Some));
        assert_eq!(fairness(&[3]), None);
    }
}
