//! Service times of many statements as those of one mix.

use serde::Serialize;

/// Fewer calls say nothing of the tail.
const CALLS_FOR_P95: f64 = 100.0;
/// The 95th percentile of the standard normal distribution.
const Z_95: f64 = 1.644_853_627;

/// The service times of several statements, taken as one random statement out of all calls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mix {
    /// Different statements.
    pub statements: u64,
    /// Calls of them.
    pub calls: u64,
    /// Mean service time: execution in the server, without planning, commit and the network.
    pub mean_ms: f64,
    /// Standard deviation of the service time.
    pub stddev_ms: f64,
    /// Squared coefficient of variation, variance / mean²: 0 when all take the same time, 1 when exponential.
    pub scv: f64,
    /// Time that 95 of 100 calls stay below, if the times are lognormal with this mean and deviation; None below 100
    /// calls.
    pub p95_ms: Option<f64>,
}

/// The moments of some statements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) statements: u64,
    pub(super) calls: f64,
    pub(super) mean_ms: f64,
    pub(super) variance: f64,
}

impl Moments {
    pub(super) fn total_ms(&self) -> f64 {
        self.calls * self.mean_ms
    }
}

/// The mix of several groups; None without a call.
///
/// By the law of total variance the variance of the whole is the mean of the groups' variances plus the variance of
/// their means, each weighted by calls.
pub(super) fn pooled(groups: &[Moments]) -> Option<Mix> {
    let calls: f64 = groups.iter().map(|group| group.calls).sum();
    if calls < 1.0 {
        return None;
    }
    let mean_ms = groups.iter().map(Moments::total_ms).sum::<f64>() / calls;
    let spread = |group: &Moments| group.calls * (group.variance + (group.mean_ms - mean_ms).powi(2));
    let variance = groups.iter().map(spread).sum::<f64>() / calls;
    let scv = if mean_ms > 0.0 { variance / mean_ms.powi(2) } else { 0.0 };
    Some(Mix {
        statements: groups.iter().map(|group| group.statements).sum(),
        calls: calls as u64,
        mean_ms,
        stddev_ms: variance.sqrt(),
        scv,
        p95_ms: (calls >= CALLS_FOR_P95).then(|| lognormal_p95(mean_ms, scv)),
    })
}

/// With σ² = ln(1 + scv) and μ = ln(mean) − σ²/2 the quantile is exp(μ + 1.645 σ).
fn lognormal_p95(mean: f64, scv: f64) -> f64 {
    let variance = scv.ln_1p();
    mean * (Z_95 * variance.sqrt() - variance / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(calls: f64, mean_ms: f64, variance: f64) -> Moments {
        Moments { statements: 1, calls, mean_ms, variance }
    }

    #[test]
    fn variance_is_that_within_and_between() {
        // 900 calls of exactly 1 ms and 100 of 11 ms ± 2: mean 2; 0.1 × 4 within, 0.9 × 1 + 0.1 × 81 between.
        let mix = pooled(&[moments(900.0, 1.0, 0.0), moments(100.0, 11.0, 4.0)]).unwrap();
        assert_eq!((mix.statements, mix.calls, mix.mean_ms), (2, 1_000, 2.0));
        assert!((mix.stddev_ms - 9.4_f64.sqrt()).abs() < 1e-12);
        assert!((mix.scv - 2.35).abs() < 1e-12);
    }

    #[test]
    fn pooling_is_the_same_in_any_grouping() {
        let parts = [moments(10.0, 1.0, 0.5), moments(500.0, 20.0, 90.0), moments(3.0, 4_000.0, 1e6)];
        let whole = pooled(&parts).unwrap();
        let two = pooled(&parts[..2]).unwrap();
        let two = moments(two.calls as f64, two.mean_ms, two.stddev_ms.powi(2));
        let again = pooled(&[two, parts[2]]).unwrap();
        assert!((whole.mean_ms - again.mean_ms).abs() < 1e-9);
        assert!((whole.scv - again.scv).abs() < 1e-9);
    }

    #[test]
    fn the_tail_is_that_of_the_lognormal_distribution() {
        let exact = pooled(&[moments(1_000.0, 7.0, 0.0)]).unwrap();
        assert_eq!(exact.p95_ms, Some(7.0));
        // scv 1: σ² = ln 2 = 0.6931, exp(1.6449 × 0.8326 − 0.3466) = 2.7811.
        let p95_ms = pooled(&[moments(1_000.0, 10.0, 100.0)]).unwrap().p95_ms.unwrap();
        assert!((p95_ms - 27.81).abs() < 0.01, "{p95_ms}");
        assert_eq!(pooled(&[moments(99.0, 10.0, 100.0)]).unwrap().p95_ms, None);
    }

    #[test]
    fn nothing_has_no_mix() {
        assert_eq!(pooled(&[]), None);
        assert_eq!(pooled(&[moments(0.0, 5.0, 1.0)]), None);
        assert_eq!(pooled(&[moments(5.0, 0.0, 0.0)]).unwrap().scv, 0.0);
    }
}
