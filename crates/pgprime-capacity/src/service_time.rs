//! How long a request holds its connection: a mean, and how much it varies.

use serde::Serialize;

use crate::error::{InputError, InputProblem, at_most, not_negative, positive};

/// The 95th percentile of the standard normal distribution.
const NORMAL_P95: f64 = 1.644_853_626_951_472_7;

/// The longest mean service time accepted: a day.
const MEAN_MS_MAX: f64 = 86_400_000.0;

/// The largest squared coefficient of variation accepted; beyond it a mean says nothing.
const SCV_MAX: f64 = 1_000.0;

/// How long a request holds its connection, described by its first two moments.
///
/// The squared coefficient of variation, `scv`, is variance ÷ mean²: 0 when every request takes the same time, 1 for
/// exponentially distributed times, above 1 when a few requests are much slower than the rest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServiceTime {
    mean_ms: f64,
    scv: f64,
}

impl ServiceTime {
    /// Exponentially distributed, as is customary where only the mean is known: `scv` is 1.
    ///
    /// # Errors
    /// When the mean is not a positive number of milliseconds, or longer than a day (`service-ms`).
    pub fn exponential(mean_ms: f64) -> Result<Self, InputError> {
        Self::checked("service-ms", mean_ms, 1.0)
    }

    /// From mean and standard deviation, as pg_stat_statements has them (`mean_exec_time`, `stddev_exec_time`).
    ///
    /// # Errors
    /// As [`ServiceTime::exponential`], and when the deviation is negative, not finite, or more than about 32 times
    /// the mean (`service-stddev-ms`).
    pub fn from_mean_and_stddev(mean_ms: f64, stddev_ms: f64) -> Result<Self, InputError> {
        const INPUT: &str = "service-stddev-ms";
        Self::checked("service-ms", mean_ms, 1.0)?;
        not_negative(
            INPUT,
            stddev_ms,
            "give the standard deviation in ms, 0 when all requests take the same time",
        )?;
        let ratio = stddev_ms / mean_ms;
        Self::checked(INPUT, mean_ms, ratio * ratio)
    }

    /// From mean and 95th percentile, by the lognormal distribution that has both.
    ///
    /// A lognormal time with parameters μ and σ has the mean e^(μ+σ²/2) and the 95th percentile e^(μ+zσ), z = 1.645,
    /// so ln(p95/mean) = zσ − σ²/2. Of the two roots the smaller is taken: the larger one describes times of which
    /// nearly all are far below the mean. Then `scv` = e^(σ²) − 1. The ratio has its maximum e^(z²/2) = 3.87 at σ = z.
    ///
    /// Example: mean 20 ms and p95 60 ms give σ = 0.932 and an `scv` of 1.38.
    ///
    /// # Errors
    /// As [`ServiceTime::exponential`], and when the percentile is not finite, below the mean or more than 3.87 times
    /// the mean (`service-p95-ms`).
    pub fn from_mean_and_p95(mean_ms: f64, p95_ms: f64) -> Result<Self, InputError> {
        const INPUT: &str = "service-p95-ms";
        Self::checked("service-ms", mean_ms, 1.0)?;
        not_negative(INPUT, p95_ms, "give the 95th percentile of the service time in ms")?;
        if p95_ms < mean_ms {
            return Err(InputError::new(INPUT, InputProblem::P95BelowMean { p95_ms, mean_ms }));
        }
        let discriminant = NORMAL_P95 * NORMAL_P95 - 2.0 * (p95_ms / mean_ms).ln();
        if discriminant < 0.0 {
            let ratio_max = (NORMAL_P95 * NORMAL_P95 / 2.0).exp();
            let problem = InputProblem::P95TooFarAboveMean { p95_ms, mean_ms, ratio_max };
            return Err(InputError::new(INPUT, problem));
        }
        let sigma = NORMAL_P95 - discriminant.sqrt();
        Self::checked(INPUT, mean_ms, (sigma * sigma).exp_m1())
    }

    /// From mean and squared coefficient of variation.
    ///
    /// # Errors
    /// As [`ServiceTime::exponential`], and when `scv` is negative, not finite or above 1,000 (`service-scv`).
    pub fn from_mean_and_scv(mean_ms: f64, scv: f64) -> Result<Self, InputError> {
        Self::checked("service-scv", mean_ms, scv)
    }

    /// The mean in milliseconds.
    pub fn mean_ms(&self) -> f64 {
        self.mean_ms
    }

    /// The squared coefficient of variation: variance ÷ mean².
    pub fn scv(&self) -> f64 {
        self.scv
    }

    /// The same shape with another mean.
    pub(crate) fn with_mean_ms(self, mean_ms: f64) -> Self {
        ServiceTime { mean_ms, ..self }
    }

    /// The one place where a service time is made; `scv_input` is to blame for a wrong `scv`.
    fn checked(scv_input: &'static str, mean_ms: f64, scv: f64) -> Result<Self, InputError> {
        const INPUT: &str = "service-ms";
        positive(
            INPUT,
            mean_ms,
            "give the mean time in ms that a request holds its connection, 20 if unknown",
        )?;
        at_most(INPUT, mean_ms, MEAN_MS_MAX)?;
        not_negative(scv_input, scv, "give variance ÷ mean², 1 for exponentially distributed times")?;
        at_most(scv_input, scv, SCV_MAX)?;
        Ok(ServiceTime { mean_ms, scv })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variation_follows_from_what_is_known() {
        let near = |service: Result<ServiceTime, InputError>, scv: f64| {
            let service = service.expect("valid");
            assert_eq!(service.mean_ms(), 20.0);
            assert!((service.scv() - scv).abs() < 0.005, "{} is not {scv}", service.scv());
        };
        near(ServiceTime::exponential(20.0), 1.0);
        near(ServiceTime::from_mean_and_stddev(20.0, 20.0), 1.0);
        near(ServiceTime::from_mean_and_stddev(20.0, 10.0), 0.25);
        near(ServiceTime::from_mean_and_stddev(20.0, 0.0), 0.0);
        near(ServiceTime::from_mean_and_p95(20.0, 20.0), 0.0);
        near(ServiceTime::from_mean_and_p95(20.0, 60.0), 1.383);
        near(ServiceTime::from_mean_and_p95(20.0, 77.0), 9.98);
        near(ServiceTime::from_mean_and_scv(20.0, 3.0), 3.0);
    }

    #[test]
    fn the_fitted_distribution_has_both_mean_and_percentile() {
        for ratio in [1.1, 1.5, 2.0, 2.5, 3.0, 3.5, 3.8] {
            let service = ServiceTime::from_mean_and_p95(20.0, 20.0 * ratio).expect("within the range");
            let sigma = service.scv().ln_1p().sqrt();
            let found = (NORMAL_P95 * sigma - sigma * sigma / 2.0).exp();
            assert!((found - ratio).abs() < 1e-9, "{found} is not {ratio}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        let cases = [
            (ServiceTime::exponential(0.0), "service-ms: 0 is not above 0"),
            (ServiceTime::exponential(-20.0), "service-ms: -20 is not above 0"),
            (ServiceTime::exponential(f64::NAN), "service-ms: NaN is not a finite number"),
            (ServiceTime::exponential(f64::INFINITY), "service-ms: inf is not a finite number"),
            (ServiceTime::exponential(1e9), "service-ms: 1000000000 is more than the 86400000"),
            (ServiceTime::from_mean_and_stddev(0.0, 1.0), "service-ms: 0 is not above 0"),
            (ServiceTime::from_mean_and_stddev(20.0, -1.0), "service-stddev-ms: -1 is negative"),
            (ServiceTime::from_mean_and_stddev(1.0, 1e9), "service-stddev-ms: "),
            (ServiceTime::from_mean_and_stddev(1.0, f64::NAN), "service-stddev-ms: NaN"),
            (
                ServiceTime::from_mean_and_p95(20.0, 10.0),
                "service-p95-ms: a p95 of 10 ms is below the mean of 20 ms",
            ),
            (
                ServiceTime::from_mean_and_p95(20.0, 78.0),
                "service-p95-ms: a p95 of 78 ms is more than 3.87 times",
            ),
            (ServiceTime::from_mean_and_p95(20.0, f64::INFINITY), "service-p95-ms: inf is not"),
            (ServiceTime::from_mean_and_scv(20.0, -1.0), "service-scv: -1 is negative"),
        ];
        for (result, expected) in cases {
            let error = result.expect_err("nonsense").to_string();
            assert!(error.starts_with(expected), "{error:?} does not begin with {expected:?}");
        }
    }
}
