//! Medians, spreads and ratios.

/// The middle of some values, or the mean of the two in the middle; `None` of none. Infinite ones are the largest.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted[sorted.len() / 2 - 1] + upper) / 2.0)
}

/// The distance from the least to the greatest value as a fraction of the median.
pub(crate) fn spread(values: &[f64]) -> Option<f64> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let greatest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((greatest - least) / median(values)?)
}

/// The median of each value divided by the base of its own round, so that what slows a whole round down cancels out.
pub(crate) fn paired_ratio(values: &[f64], bases: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = values.iter().zip(bases).map(|(value, base)| value / base).collect();
    median(&ratios).filter(|ratio| ratio.is_finite())
}

/// The most divided by the fewest; infinite when somebody got nothing and somebody got something.
pub(crate) fn most_to_fewest(counts: &[u64]) -> f64 {
    match (counts.iter().max(), counts.iter().min()) {
        (Some(&most), Some(&fewest)) if most > 0 => most as f64 / fewest as f64,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 2.0, 9.0], Some(3.0)),
            (&[f64::INFINITY, 1.0, 2.0], Some(2.0)),
            (&[f64::INFINITY, 1.0, f64::INFINITY], Some(f64::INFINITY)),
        ] {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn spreads() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[100.0]), Some(0.0));
        assert_eq!(spread(&[110.0, 100.0, 90.0]), Some(0.2));
    }

    #[test]
    fn a_slow_round_does_not_change_a_ratio() {
        assert_eq!(paired_ratio(&[200.0, 2_000.0, 200.0], &[100.0, 1_000.0, 100.0]), Some(2.0));
        assert_eq!(paired_ratio(&[], &[]), None);
        assert_eq!(paired_ratio(&[1.0], &[0.0]), None);
    }

    #[test]
    fn most_and_fewest() {
        assert_eq!(most_to_fewest(&[3, 6, 4]), 2.0);
        assert_eq!(most_to_fewest(&[3, 0]), f64::INFINITY);
        assert_eq!(most_to_fewest(&[0, 0]), 1.0);
        assert_eq!(most_to_fewest(&[]), 1.0);
    }
}
