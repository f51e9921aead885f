//! Service times, drawn from the distribution that was asked for.

use std::f64::consts::TAU;

/// Draws service times with a given mean and squared coefficient of variation (scv): all the same for 0, exponential
/// for 1, gamma in between and above.
///
/// A gamma distribution of shape 1/scv and scale mean·scv has just these two moments, and shape 1 is the exponential
/// distribution, so that one sampler does for all.
#[derive(Clone, Debug)]
pub(super) struct ServiceTimes {
    mean_ms: f64,
    scv: f64,
    random: fastrand::Rng,
}

impl ServiceTimes {
    /// The same seed gives the same times.
    pub(super) fn new(mean_ms: f64, scv: f64, seed: u64) -> Self {
        Self { mean_ms, scv, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next service time, in milliseconds.
    pub(super) fn draw_ms(&mut self) -> f64 {
        if self.scv == 0.0 {
            return self.mean_ms;
        }
        self.mean_ms * self.scv * self.gamma(1.0 / self.scv)
    }

    /// The next service time less `known_ms`, which pass anyway, in whole milliseconds: PostgreSQL sleeps no others.
    /// Rounded up or down at random, so that the mean stays what it is.
    pub(super) fn draw_sleep_ms(&mut self, known_ms: f64) -> u32 {
        let rest_ms = (self.draw_ms() - known_ms).max(0.0);
        (rest_ms + self.random.f64()) as u32
    }

    /// A gamma variate of scale 1, by G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables"
    /// (2000): a cube of a shifted normal variate, accepted with a probability near 1. It holds for shapes from 1 on;
    /// a smaller shape a is the variate of a + 1 times U^(1/a).
    fn gamma(&mut self, shape: f64) -> f64 {
        let boost = if shape < 1.0 { self.uniform().powf(1.0 / shape) } else { 1.0 };
        let shape = if shape < 1.0 { shape + 1.0 } else { shape };
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let normal = self.normal();
            let cube = (1.0 + c * normal).powi(3);
            if cube > 0.0 && self.uniform().ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
                return boost * d * cube;
            }
        }
    }

    /// A standard normal variate, by Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// Above 0 and at most 1, so that it has a logarithm.
    fn uniform(&mut self) -> f64 {
        1.0 - self.random.f64()
    }
}

/// Mean and squared coefficient of variation of some times; of none, 0 and 0.
pub(super) fn moments(times: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = times.clone().count().max(1) as f64;
    let mean = times.clone().sum::<f64>() / count;
    let variance = times.map(|time| (time - mean).powi(2)).sum::<f64>() / count;
    (mean, if mean > 0.0 { variance / (mean * mean) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;

    fn drawn(scv: f64) -> Vec<f64> {
        let mut times = ServiceTimes::new(20.0, scv, 3);
        (0..DRAWS).map(|_| times.draw_ms()).collect()
    }

    #[test]
    fn mean_and_variation_are_those_asked_for() {
        // The relative errors of mean and scv over 100,000 draws, doubled and rounded up.
        for (scv, mean_error, scv_error) in
            [(0.0, 1e-12, 1e-12), (0.25, 0.01, 0.02), (1.0, 0.01, 0.03), (2.0, 0.02, 0.05), (4.0, 0.02, 0.08)]
        {
            let (mean, found) = moments(drawn(scv).into_iter());
            assert!((mean / 20.0 - 1.0).abs() <= mean_error, "scv {scv}: mean {mean}");
            assert!((found - scv).abs() <= scv_error * scv.max(1e-9), "scv {scv}: found {found}");
        }
    }

    #[test]
    fn an_scv_of_one_is_exponential() {
        let times = drawn(1.0);
        for (time_ms, expected) in [(2.0_f64, 0.0952), (20.0, 0.6321), (60.0, 0.9502)] {
            let share = times.iter().filter(|time| **time <= time_ms).count() as f64 / DRAWS as f64;
            assert!((share - expected).abs() < 0.005, "{share} within {time_ms} ms, not {expected}");
        }
    }

    #[test]
    fn whole_milliseconds_keep_the_mean() {
        let mut times = ServiceTimes::new(2.5, 0.0, 3);
        let sleeps: Vec<f64> = (0..DRAWS).map(|_| f64::from(times.draw_sleep_ms(0.2))).collect();
        assert!(sleeps.iter().all(|sleep| [2.0, 3.0].contains(sleep)));
        assert!((moments(sleeps.into_iter()).0 - 2.3).abs() < 0.01);
        assert_eq!(ServiceTimes::new(2.5, 0.0, 3).draw_sleep_ms(9.0), 0);
    }

    #[test]
    fn seeds_decide() {
        let first = |seed| ServiceTimes::new(20.0, 1.0, seed).draw_ms();
        assert!(first(1) == first(1) && first(1) != first(2));
        assert_eq!(moments(std::iter::empty()), (0.0, 0.0));
    }
}
