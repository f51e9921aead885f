//! Waiting for one of several servers, by Erlang.
//!
//! Requests arrive at random (a Poisson process, which many independent users are) and wait in order of arrival for
//! one of `c` connections. With exponentially distributed service times this is M/M/c, and exact:
//!
//! - A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
//!   exchanges", 1917: the fractions that are blocked (B) and that wait (C).
//!
//! Other service times (M/G/c) have no closed form. The mean wait interpolates between exponential and constant
//! times:
//!
//! - T. Kimura, "A two-moment approximation for the mean waiting time in the GI/G/s queue", Management Science 32(6),
//!   1986: W = (1 + scv) ÷ (2·scv/W(M/M/c) + (1 − scv)/W(M/D/c)).
//! - G. P. Cosmetatos, "Some approximate equilibrium results for the multi-server queue (M/G/r)", Operational Research
//!   Quarterly 27(3), 1976: W(M/D/c) = ½·(1 + γ)·W(M/M/c), γ = (1 − ρ)(c − 1)(√(4 + 5c) − 2) ÷ (16·c·ρ).
//! - W. Whitt, "Approximations for the GI/G/m queue", Production and Operations Management 2(2), 1993: γ at most 0.24,
//!   which is where Cosmetatos' formula stops being accurate in light traffic.
//!
//! With one server it is the exact formula of Pollaczek and Khinchine, and with `scv` 1 it is M/M/c. The customary
//! factor (1 + scv)/2 of Allen and Cunneen is its limit for ρ → 1; it was not taken because with the tens of servers
//! that a pool has it is far off: in simulations of lognormal times with `scv` 4 it gives 58 % too much at 25 servers
//! of which 80 % are busy, where the interpolation gives 15 % too much.
//!
//! The waits of those that wait are taken as exponentially distributed with that mean, which M/M/c makes exact.

use serde::Serialize;

use crate::service_time::ServiceTime;

/// Servers this close to fully used cannot carry the load: the rest is rounding.
const OVERLOAD_TOLERANCE: f64 = 1e-9;

/// The greatest correction for constant service times, by Whitt.
const CONSTANT_SERVICE_CORRECTION_MAX: f64 = 0.24;

/// The waiting that a number of servers means for a load they can carry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Waiting {
    /// The fraction of the time a server is busy, 0 to 1.
    pub utilisation: f64,
    /// The fraction of requests that wait at all.
    pub wait_probability: f64,
    /// Mean wait in ms over all requests, also those that do not wait.
    pub wait_ms_mean: f64,
    /// Wait in ms that half of the requests stay within.
    pub wait_ms_p50: f64,
    /// Wait in ms that 95 of 100 requests stay within.
    pub wait_ms_p95: f64,
    /// Wait in ms that 99 of 100 requests stay within.
    pub wait_ms_p99: f64,
    /// Mean wait in ms of those that wait.
    pub wait_ms_mean_of_waiting: f64,
}

impl Waiting {
    /// For `requests_per_s` random (Poisson) arrivals; `None` when the servers cannot carry them and the queue grows
    /// without end, or when the rate is not a number of requests.
    ///
    /// Example: 1,000 requests/s of 20 ms keep 20 servers busy. With 25, 20.9 % wait, 0.84 ms on average over all, and
    /// 99 of 100 stay within (20 ms ÷ 5)·ln(20.9) = 12.2 ms.
    pub fn at(requests_per_s: f64, service: &ServiceTime, servers: u32) -> Option<Waiting> {
        let blocking = Blocking::at(servers, requests_per_s * service.mean_ms() / 1000.0);
        Waiting::from_blocking(&blocking, service)
    }

    /// The wait in ms that the fraction `q` of all requests stays within, `q` from 0 to below 1.
    ///
    /// From P(W > t) = P(wait)·e^(−t/w), where w is the mean wait of those that wait.
    pub fn wait_ms_quantile(&self, q: f64) -> f64 {
        quantile(self.wait_probability, self.wait_ms_mean_of_waiting, q)
    }

    pub(crate) fn from_blocking(blocking: &Blocking, service: &ServiceTime) -> Option<Waiting> {
        let (servers, offered_load) = (f64::from(blocking.servers), blocking.offered_load);
        let is_carried = offered_load >= 0.0 && offered_load < servers * (1.0 - OVERLOAD_TOLERANCE);
        if !is_carried {
            return None;
        }
        let wait_probability = blocking.wait_probability();
        let mean = service.mean_ms() * variability_factor(servers, offered_load, service.scv())
            / (servers - offered_load);
        Some(Waiting {
            utilisation: offered_load / servers,
            wait_probability,
            wait_ms_mean: wait_probability * mean,
            wait_ms_p50: quantile(wait_probability, mean, 0.50),
            wait_ms_p95: quantile(wait_probability, mean, 0.95),
            wait_ms_p99: quantile(wait_probability, mean, 0.99),
            wait_ms_mean_of_waiting: mean,
        })
    }
}

/// Mean wait ÷ mean wait with exponential service times, as the head of this file says.
fn variability_factor(servers: f64, offered_load: f64, scv: f64) -> f64 {
    let utilisation = offered_load / servers;
    let correction =
        (1.0 - utilisation) * (servers - 1.0) * ((4.0 + 5.0 * servers).sqrt() - 2.0) / (16.0 * offered_load);
    let constant = 0.5 * (1.0 + correction.min(CONSTANT_SERVICE_CORRECTION_MAX));
    (1.0 + scv) / (2.0 * scv + (1.0 - scv) / constant)
}

fn quantile(wait_probability: f64, mean_of_waiting: f64, q: f64) -> f64 {
    let beyond = 1.0 - q.clamp(0.0, 1.0 - f64::EPSILON);
    if wait_probability <= beyond { 0.0 } else { mean_of_waiting * (wait_probability / beyond).ln() }
}

/// Erlang B, the fraction of requests that find all `servers` busy when none may wait, at an offered load of
/// `offered_load` (arrivals per second × seconds of service).
///
/// By the recurrence B(0) = 1, B(k) = a·B(k−1) ÷ (k + a·B(k−1)), which stays between 0 and 1 at every step and so
/// works for tens of thousands of servers, where powers and factorials overflow.
///
/// Example: 1 server and an offered load of 1 turn half of the requests away.
pub fn erlang_b(servers: u32, offered_load: f64) -> f64 {
    Blocking::at(servers, offered_load).probability
}

/// Erlang C, the fraction of requests that wait for one of `servers` at an offered load of `offered_load`; 1 when the
/// servers cannot carry the load.
///
/// C = c·B ÷ (c − a·(1 − B)), from Erlang B.
///
/// Example: 25 servers at an offered load of 20 let 20.9 % wait.
pub fn erlang_c(servers: u32, offered_load: f64) -> f64 {
    Blocking::at(servers, offered_load).wait_probability()
}

/// Erlang B for one number of servers, from which the next follows in one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocking {
    pub(crate) servers: u32,
    pub(crate) offered_load: f64,
    probability: f64,
}

impl Blocking {
    pub(crate) fn at(servers: u32, offered_load: f64) -> Self {
        let mut blocking = Blocking { servers: 0, offered_load, probability: 1.0 };
        while blocking.servers < servers {
            blocking.add_server();
        }
        blocking
    }

    pub(crate) fn add_server(&mut self) {
        self.servers += 1;
        let arriving = self.offered_load * self.probability;
        self.probability = arriving / (f64::from(self.servers) + arriving);
    }

    pub(crate) fn wait_probability(&self) -> f64 {
        let servers = f64::from(self.servers);
        if self.offered_load >= servers {
            return 1.0;
        }
        servers * self.probability / (servers - self.offered_load * (1.0 - self.probability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(mean_ms: f64, scv: f64) -> ServiceTime {
        ServiceTime::from_mean_and_scv(mean_ms, scv).expect("valid in these tests")
    }

    fn assert_near(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance, "{value} is not {expected} ± {tolerance}");
    }

    #[test]
    fn erlang_agrees_with_its_definition() {
        // Sums of a^k/k!, in the order that does not overflow for these sizes.
        for (servers, offered_load) in [(1, 0.5), (2, 1.0), (5, 4.0), (10, 9.5), (25, 20.0), (100, 90.0)] {
            let (mut term, mut sum) = (1.0, 0.0);
            for k in 0..servers {
                sum += term;
                term *= offered_load / f64::from(k + 1);
            }
            assert_near(erlang_b(servers, offered_load), term / (sum + term), 1e-12);
            let waiting = term / (1.0 - offered_load / f64::from(servers));
            assert_near(erlang_c(servers, offered_load), waiting / (sum + waiting), 1e-12);
        }
    }

    #[test]
    fn erlang_has_known_values() {
        // (servers, offered load, B, C), from the sums in logarithms.
        let cases = [
            (1, 1.0, 0.5, 1.0),
            (2, 1.0, 0.2, 1.0 / 3.0),
            (5, 4.0, 0.199_066_9, 0.554_112_6),
            (25, 20.0, 0.050_221_8, 0.209_102_8),
            (10_000, 9_900.0, 0.002_858_127, 0.222_776_93),
            (0, 1.0, 1.0, 1.0),
            (3, 3.0, 0.346_153_8, 1.0),
            (3, 30.0, 0.903_433_0, 1.0),
        ];
        for (servers, offered_load, b, c) in cases {
            assert_near(erlang_b(servers, offered_load), b, 1e-7);
            assert_near(erlang_c(servers, offered_load), c, 1e-7);
        }
    }

    #[test]
    fn the_worked_example_holds() {
        let waiting = Waiting::at(1000.0, &service(20.0, 1.0), 25).expect("25 carry 20");
        assert_near(waiting.utilisation, 0.8, 1e-12);
        assert_near(waiting.wait_probability, 0.2091, 1e-4);
        assert_near(waiting.wait_ms_mean, 0.8365, 1e-3);
        assert_near(waiting.wait_ms_p99, 12.16, 0.01);
        assert_near(waiting.wait_ms_p95, 5.72, 0.01);
        assert_near(waiting.wait_ms_quantile(0.99), waiting.wait_ms_p99, 1e-9);
        assert_eq!(waiting.wait_ms_p50, 0.0, "79 % do not wait");
        assert_eq!(waiting.wait_ms_quantile(0.0), 0.0);
        assert!(waiting.wait_ms_quantile(1.0).is_finite());
    }

    #[test]
    fn one_server_has_the_exact_mean_for_any_variation() {
        // Pollaczek and Khinchine: W = ρ/(1−ρ)·(1+scv)/2·S.
        for scv in [0.0, 0.25, 1.0, 4.0, 100.0] {
            let waiting = Waiting::at(40.0, &service(20.0, scv), 1).expect("0.8 of 1");
            assert_near(waiting.wait_ms_mean / (4.0 * (1.0 + scv) / 2.0 * 20.0), 1.0, 1e-9);
        }
    }

    #[test]
    fn an_overload_has_no_waiting_time() {
        let times = service(20.0, 1.0);
        for (requests_per_s, servers) in
            [(1000.0, 20), (1000.0, 19), (1000.0, 0), (f64::NAN, 5), (f64::INFINITY, 5), (-1.0, 5)]
        {
            assert_eq!(Waiting::at(requests_per_s, &times, servers), None, "{requests_per_s}/s on {servers}");
        }
        let barely = Waiting::at(999.0, &times, 20).expect("19.98 of 20");
        assert!(barely.wait_ms_p99.is_finite() && barely.wait_ms_p99 > 1000.0);
        let nothing = Waiting::at(0.0, &times, 1).expect("no load");
        assert_eq!((nothing.wait_probability, nothing.wait_ms_mean, nothing.wait_ms_p99), (0.0, 0.0, 0.0));
    }
}
