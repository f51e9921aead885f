//! Figures of a run with confidence intervals that hold for values that depend on each other: a request that waits is
//! followed by others that wait.

use serde::Serialize;

/// Sections that a run is divided into. Few, so that each is long beside the time a queue remembers.
pub(super) const SECTIONS: usize = 10;
/// The 99.5th percentile of Student's t with `SECTIONS` − 1 degrees of freedom: an interval of 99 %. A report has
/// several intervals, of which one in twenty would miss at 95 % without anything being wrong.
const STUDENT_T: f64 = 3.250;

/// A measured figure and its 99 % confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure over the whole run.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// Whether a predicted value lies within the interval, give or take `resolution`.
    pub fn contains(&self, predicted: f64, resolution: f64) -> bool {
        (self.low - resolution..=self.high + resolution).contains(&predicted)
    }
}

/// The values of a run, in sections of equal length.
#[derive(Clone, Debug)]
pub(super) struct Sectioned {
    all: Vec<f64>,
    sections: Vec<Vec<f64>>,
}

impl Sectioned {
    /// From values with the moment they belong to, as a fraction of the run; others than 0 to 1 are left out.
    pub(super) fn new(values: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut sections = vec![Vec::new(); SECTIONS];
        for (moment, value) in values.filter(|(moment, _)| *moment >= 0.0) {
            if let Some(section) = sections.get_mut((moment * SECTIONS as f64).floor() as usize) {
                section.push(value);
            }
        }
        let mut all = sections.concat();
        for values in sections.iter_mut().chain([&mut all]) {
            values.sort_by(f64::total_cmp);
        }
        Self { all, sections }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// A figure of the run alone, from sorted values.
    pub(super) fn figure(&self, figure: impl Fn(&[f64]) -> f64) -> f64 {
        figure(&self.all)
    }

    /// A figure of the run, from sorted values. The interval follows from how much the figure of each section differs
    /// from that of the whole: "sectioning", S. Asmussen and P. W. Glynn, *Stochastic Simulation* (2007), III.5,
    /// which holds for percentiles as for means.
    pub(super) fn estimate(&self, figure: impl Fn(&[f64]) -> f64) -> Estimate {
        let value = figure(&self.all);
        let squares = self.sections.iter().map(|section| (figure(section) - value).powi(2)).sum::<f64>();
        let deviation = (squares / (SECTIONS - 1) as f64).sqrt();
        let half = STUDENT_T * deviation / (SECTIONS as f64).sqrt();
        Estimate { value, low: value - half, high: value + half }
    }
}

/// The mean of some values; 0 of none.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The value that the fraction `q` of sorted values stays within; 0 of none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The fraction of sorted values above `limit`; 0 of none.
pub(super) fn share_above(sorted: &[f64], limit: f64) -> f64 {
    let within = sorted.partition_point(|value| *value <= limit);
    (sorted.len() - within) as f64 / sorted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sectioned(values: &[f64]) -> Sectioned {
        let count = values.len() as f64;
        Sectioned::new(values.iter().enumerate().map(|(at, value)| (at as f64 / count, *value)))
    }

    #[test]
    fn figures_of_sorted_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| quantile(&values, q)), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!([0.0, 50.0, 99.5, 100.0].map(|limit| share_above(&values, limit)), [1.0, 0.5, 0.01, 0.0]);
        assert!((mean(&values) - 50.5).abs() < 1e-12);
        assert_eq!((mean(&[]), quantile(&[], 0.5), share_above(&[], 1.0)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn equal_sections_leave_no_doubt() {
        let estimate = sectioned(&[3.0; 1000]).estimate(mean);
        assert_eq!(estimate, Estimate { value: 3.0, low: 3.0, high: 3.0 });
        assert!(estimate.contains(3.0, 0.0) && !estimate.contains(3.1, 0.0) && estimate.contains(3.1, 0.2));
    }

    #[test]
    fn the_interval_of_a_mean_is_student_s() {
        // Sections with the means 0 to 9: deviation 3.0277, so the half width is 3.25 · 3.0277 / √10.
        let values: Vec<f64> = (0..1000).map(|at| f64::from(at / 100)).collect();
        let estimate = sectioned(&values).estimate(mean);
        assert!((estimate.value - 4.5).abs() < 1e-12);
        assert!((estimate.high - 4.5 - 3.1116).abs() < 1e-3 && (4.5 - estimate.low - 3.1116).abs() < 1e-3);
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say_although_values_depend_on_each_other() {
        let mut random = fastrand::Rng::with_seed(17);
        let (mut mean_held, mut p99_held) = (0, 0);
        for _ in 0..300 {
            // Each value is the one before with probability 0.95: runs of 20 equal exponential values.
            let mut value = 0.0_f64;
            let values: Vec<f64> = (0..20_000)
                .map(|at| {
                    if at == 0 || random.f64() > 0.95 {
                        value = -(1.0 - random.f64()).ln();
                    }
                    value
                })
                .collect();
            let sectioned = sectioned(&values);
            mean_held += u32::from(sectioned.estimate(mean).contains(1.0, 0.0));
            let p99 = sectioned.estimate(|sorted| quantile(sorted, 0.99));
            p99_held += u32::from(p99.contains(100.0_f64.ln(), 0.0));
        }
        assert!(mean_held >= 291 && p99_held >= 285, "{mean_held} and {p99_held} of 300");
    }

    #[test]
    fn values_outside_the_run_are_left_out() {
        let sectioned = Sectioned::new([(-0.2, 1.0), (0.0, 2.0), (0.99, 3.0), (1.0, 4.0)].into_iter());
        assert_eq!((sectioned.len(), sectioned.all.as_slice()), (2, &[2.0, 3.0][..]));
    }
}
